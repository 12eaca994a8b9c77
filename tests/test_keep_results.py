"""Keeping the figures of models without their weights."""

import json
import shutil
import subprocess
import sys

import pytest
from programs import ROOT

from spclap.data.stamp import scenes_digest
from spclap.evaluate.figures import set_name


def run(program, *arguments):
    command = [sys.executable, ROOT / "utils" / program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd="/")


def row(tag, seed, value, corpus="mini"):
    numbers = {"value": value, "low": value - 1, "high": value + 1, "n": 400}
    return {"tag": tag, "corpus": corpus, "metric": "direction_1src", "seed": seed, **numbers}


@pytest.fixture
def exp(tmp_path, corpus):
    """Two models of two seeds as stage 5 leaves them, with another corpus beside them."""
    scenes = scenes_digest(corpus.data)
    alone = [row(tag, seed, 50.0 + seed + 10 * (tag == "scl")) for tag in ("scl", "multi") for seed in (0, 1)]
    for own in alone:
        folder = tmp_path / "exp" / "mini" / f"seed{own['seed']}" / own["tag"]
        folder.mkdir(parents=True)
        (folder / "scores.json").write_text(json.dumps({"scenes": scenes, "results": [own]}))
        (folder / "outcomes.npz").write_bytes(own["tag"].encode())
        (folder / "done.json").write_text("{}")
    shutil.copytree(tmp_path / "exp/mini/seed0/scl", tmp_path / "exp/mini/seed0/scl.old1")
    of_others = tmp_path / "exp" / "mini" / "seed0" / "theirs"  # put there to be compared with
    of_others.mkdir()
    (of_others / "scores.json").write_text(json.dumps({"scenes": "others", "results": []}))
    beyond = [row("scl-multi", 0, 10.0), {**row("scl", "0+1", 60.5), "seed_sd": 0.7}, row("ceiling", 0, 100.0)]
    rows = [*alone, *beyond, row("scl", 0, 1.0, "synth"), row("scl-multi", 0, 2.0, "synth")]
    (tmp_path / "exp" / "results.json").write_text(json.dumps(rows))
    return tmp_path / "exp"


def test_what_is_kept_shows_as_it_did(exp, corpus, tmp_path):
    result = run("keep_results.py", exp / "mini", corpus.data, tmp_path / "kept")
    assert result.returncode == 0 and "4 models of " in result.stdout
    files = {str(path.relative_to(tmp_path / "kept")) for path in (tmp_path / "kept").rglob("*") if path.is_file()}
    models = [f"seed{seed}/{tag}" for seed in (0, 1) for tag in ("scl", "multi")]
    beyond = {"compared.json", "recordings.json"}
    assert files == beyond | {f"{m}/{name}" for m in models for name in ("scores.json", "outcomes.npz")}
    shown = run("show_results.py", tmp_path / "kept").stdout
    of_mini, _ = run("show_results.py", exp).stdout.split("### synth: percent")
    assert sorted(shown.split("\n")) == sorted(of_mini.removesuffix("\n").split("\n"))
    assert "60.5 [59.5, 61.5] ±0.7" in shown


def test_recordings_are_those_of_the_test_scenes(exp, corpus, tmp_path):
    (tmp_path / "kept").mkdir()
    path = tmp_path / "kept" / "recordings.json"
    path.write_text('{"other": {}}')
    assert run("keep_results.py", exp / "mini", corpus.data, path.parent).returncode == 0
    kept = json.loads(path.read_text())
    assert kept.pop("other") == {} and kept.keys() == {scenes_digest(corpus.data)}
    (own,) = kept.values()
    clips = own.pop("clips")
    wanted = {
        set_name(size, sounds): corpus.recordings(corpus.fixed("test", size, sounds))
        for sounds in corpus.simu.scenes.fixed
        for size in corpus.fixed_counts("test", sounds)
    }
    assert {name: [tuple(clips[one] for one in scene) for scene in scenes] for name, scenes in own.items()} == wanted
    assert len(wanted) > 2


def test_kept_rows_of_other_models_stay_and_own_ones_are_replaced(exp, corpus, tmp_path):
    kept = tmp_path / "kept" / "compared.json"
    kept.parent.mkdir()
    kept.write_text(json.dumps([row("theirs-scl", 0, 3.0), row("scl-multi", 0, 9.0)]))
    assert run("keep_results.py", exp / "mini", corpus.data, kept.parent).returncode == 0
    found = {(own["tag"], own["seed"]): own["value"] for own in json.loads(kept.read_text())}
    assert found == {("theirs-scl", 0): 3.0, ("scl-multi", 0): 10.0, ("scl", "0+1"): 60.5, ("ceiling", 0): 100.0}


def test_what_is_missing_is_told(exp, corpus, tmp_path):
    def told(corpus_of_exp, data):
        result = run("keep_results.py", exp / corpus_of_exp, data, tmp_path / "kept")
        assert result.returncode == 1 and not (tmp_path / "kept").exists() and result.stderr.count("\n") == 1
        return result.stderr

    assert "esc50: no trained model with a scores.json below it; run stage 5" in told("esc50", corpus.data)
    assert "no test scenes below it; run stage 1" in told("mini", tmp_path)
    scores = exp / "mini" / "seed1" / "multi" / "scores.json"
    scores.write_text(scores.read_text().replace(scenes_digest(corpus.data), "others"))
    assert "models were scored on 2 sets of scenes; run stage 5 again" in told("mini", corpus.data)
    (exp / "mini" / "seed0" / "scl" / "outcomes.npz").unlink()
    assert "scl/outcomes.npz: not found; run stage 5" in told("mini", corpus.data)
