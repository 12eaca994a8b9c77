"""Keeping the figures of models without their weights."""

import json
import shutil
import subprocess
import sys

import pytest
from programs import ROOT


def run(program, *arguments):
    command = [sys.executable, ROOT / "utils" / program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd="/")


def row(tag, seed, value, corpus="mini"):
    numbers = {"value": value, "low": value - 1, "high": value + 1, "n": 400}
    return {"tag": tag, "corpus": corpus, "metric": "direction_1src", "seed": seed, **numbers}


@pytest.fixture
def exp(tmp_path):
    """Two models of two seeds as stage 5 leaves them, with another corpus beside them."""
    alone = [row(tag, seed, 50.0 + seed + 10 * (tag == "scl")) for tag in ("scl", "multi") for seed in (0, 1)]
    for own in alone:
        folder = tmp_path / "exp" / "mini" / f"seed{own['seed']}" / own["tag"]
        folder.mkdir(parents=True)
        (folder / "scores.json").write_text(json.dumps({"results": [own]}))
        (folder / "outcomes.npz").write_bytes(own["tag"].encode())
        (folder / "weights.pth").write_bytes(b"heavy")
    shutil.copytree(tmp_path / "exp/mini/seed0/scl", tmp_path / "exp/mini/seed0/scl.old1")
    beyond = [row("scl-multi", 0, 10.0), {**row("scl", "0+1", 60.5), "seed_sd": 0.7}, row("ceiling", 0, 100.0)]
    rows = [*alone, *beyond, row("scl", 0, 1.0, "synth"), row("scl-multi", 0, 2.0, "synth")]
    (tmp_path / "exp" / "results.json").write_text(json.dumps(rows))
    return tmp_path / "exp"


def test_what_is_kept_shows_as_it_did(exp, tmp_path):
    result = run("keep_results.py", exp / "mini", tmp_path / "kept")
    assert result.returncode == 0 and "4 models of " in result.stdout
    files = {str(path.relative_to(tmp_path / "kept")) for path in (tmp_path / "kept").rglob("*") if path.is_file()}
    models = [f"seed{seed}/{tag}" for seed in (0, 1) for tag in ("scl", "multi")]
    assert files == {"compared.json", *(f"{m}/{name}" for m in models for name in ("scores.json", "outcomes.npz"))}
    shown = run("show_results.py", tmp_path / "kept").stdout
    of_mini, _ = run("show_results.py", exp).stdout.split("### synth: percent")
    assert sorted(shown.split("\n")) == sorted(of_mini.removesuffix("\n").split("\n"))
    assert "60.5 [59.5, 61.5] ±0.7" in shown


def test_kept_rows_of_other_models_stay_and_own_ones_are_replaced(exp, tmp_path):
    kept = tmp_path / "kept" / "compared.json"
    kept.parent.mkdir()
    kept.write_text(json.dumps([row("theirs-scl", 0, 3.0), row("scl-multi", 0, 9.0)]))
    assert run("keep_results.py", exp / "mini", kept.parent).returncode == 0
    found = {(own["tag"], own["seed"]): own["value"] for own in json.loads(kept.read_text())}
    assert found == {("theirs-scl", 0): 3.0, ("scl-multi", 0): 10.0, ("scl", "0+1"): 60.5, ("ceiling", 0): 100.0}


def test_what_is_missing_is_told(exp, tmp_path):
    result = run("keep_results.py", exp / "esc50", tmp_path / "kept")
    assert result.returncode == 1 and "esc50: no scores.json below it; run stage 5" in result.stderr
    (exp / "mini" / "seed0" / "scl" / "outcomes.npz").unlink()
    result = run("keep_results.py", exp / "mini", tmp_path / "kept")
    assert result.returncode == 1 and "scl/outcomes.npz: not found; run stage 5" in result.stderr
    assert not (tmp_path / "kept").exists()
