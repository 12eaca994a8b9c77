"""Scoring a training on the fixed scenes."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from programs import ROOT, run
from small_training import train

from spclap.engine.heard import Hearer
from spclap.errors import DataError
from spclap.evaluate.benchmarks import fixed
from spclap.evaluate.embedder import OfClap
from spclap.evaluate.figures import set_name, set_of
from spclap.evaluate.frozen import RenderedSet, fixed_sets
from spclap.model.spatial_clap import SpatialClap
from spclap.verbs.models import load_embedder


@pytest.fixture(scope="module")
def folder(corpus, tmp_path_factory):
    exp = tmp_path_factory.mktemp("exp") / "tiny" / "seed0" / "scl"
    exp.parent.mkdir(parents=True)
    assert train(corpus, exp, "--max_epoch", "1").returncode == 0
    return exp


def of(model, corpus, images) -> dict[str, np.ndarray]:
    return fixed.outcomes(model, fixed_sets(corpus, corpus.simu.scenes.fixed), images)


def test_every_scene_of_the_table_has_an_outcome(corpus, folder, tmp_path):
    found = of(load_embedder(str(folder), corpus=corpus), corpus, tmp_path)
    for sounds in ("clean", "real"):
        for size in corpus.fixed_counts("test", sounds):
            count = len(corpus.fixed("test", size, sounds))
            lengths = {name: len(values) for name, values in found.items() if name.endswith(set_name(size, sounds))}
            assert lengths and set(lengths.values()) == {count}
    assert {"direction_1src_real", "assignment_2src_real", "reworded_direction_1src"} < found.keys()
    assert all(set_of(name) in ("1src", "2src", "3src", "1src_real", "2src_real") for name in found)
    pictures = {f"{what}_{size}src.png" for what, size in (("direction", 1), ("direction", 2), ("similarity", 3))}
    assert pictures < {path.name for path in tmp_path.iterdir()}


def test_what_is_kept_of_frozen_encoders_changes_nothing(corpus, folder, tmp_path, monkeypatch):
    model = load_embedder(str(folder), corpus=corpus)
    sounds = fixed_sets(corpus)[1]
    plain = np.concatenate([
        OfClap(model.clap).embed_audio(sounds.waves(rows), 16000, sounds.arrays[rows])
        for rows in (slice(first, first + 32) for first in range(0, len(sounds.scenes), 32))
    ])  # fmt: skip
    monkeypatch.setattr(SpatialClap, "hears_once", True)
    kept = Hearer(model.clap, corpus)
    np.testing.assert_array_equal(kept.heard(sounds), plain)
    assert (kept.hearing.folder / f"test_clean_{sounds.name}" / "done.json").is_file()
    fields = [getattr(sounds, name) for name in RenderedSet.__dataclass_fields__]
    assert kept.heard(RenderedSet(*fields)) is None


def test_a_bad_scene_does_not_end_scoring_in_silence(corpus, folder, tmp_path, monkeypatch):
    """Python takes an IndexError of __getitem__ for the end of what it iterates over."""
    plain = RenderedSet.waves

    def broken(self, rows: slice):
        if rows.stop >= len(self.scenes):
            raise IndexError("scene")
        return plain(self, rows)

    monkeypatch.setattr(RenderedSet, "waves", broken)
    with pytest.raises(IndexError, match="scene"):
        of(load_embedder(str(folder), corpus=corpus), corpus, tmp_path)


@pytest.mark.parametrize("change, told", [(lambda x: x[1:], "vectors of"), (lambda x: x * np.nan, "is not finite")])
def test_vectors_that_are_missing_or_broken_are_refused(corpus, folder, tmp_path, monkeypatch, change, told):
    plain = OfClap.embed_audio
    monkeypatch.setattr(OfClap, "embed_audio", lambda self, *given: change(plain(self, *given)))
    with pytest.raises(DataError, match=f"audio vector.*{told}|{told}"):
        of(load_embedder(str(folder), corpus=corpus), corpus, tmp_path)


def score(corpus, exp: Path, out: Path):
    given = ["--data", corpus.data, "--dump", corpus.dump, "--conf", ROOT / "conf" / "score.yaml", "--out", out]
    return run("spclap.cli", "score", exp, "--benchmark", "fixed", *given)


def test_results_are_those_of_the_outcomes_that_are_kept(corpus, folder, tmp_path):
    result = score(corpus, folder.parent, tmp_path)
    assert result.returncode == 0 and "scl: scored" in result.stderr, result.stderr
    rows = {(row["tag"], row["metric"]): row for row in json.loads((tmp_path / "results.json").read_text())}
    with np.load(folder / "outcomes.npz") as kept:
        for metric in kept:
            row = rows["scl", metric]
            assert row["value"] == kept[metric].mean() and row["n"] == len(kept[metric])
            assert (row["corpus"], row["seed"]) == ("tiny", 0)
    assert {tag for tag, _ in rows} == {"scl", "ceiling", "direct_sound"}
    again = score(corpus, folder.parent, tmp_path)
    assert "scl: scored before" in again.stderr and "scl: scored\n" not in again.stderr
    for name in ("assignment.png", "training_curves.png"):
        assert (folder.parent / "images" / name).read_bytes().startswith(b"\x89PNG")


def test_rows_of_another_protocol_leave_the_table(corpus, folder, tmp_path):
    """Of a seed whose weights are gone and whose retrieval was asked in another way."""
    assert score(corpus, folder.parent, tmp_path / "first").returncode == 0
    exp = tmp_path / "tiny"
    shutil.copytree(folder.parent, exp / "seed0")
    shutil.copytree(folder, exp / "seed1" / "scl")
    (exp / "seed1" / "scl" / "done.json").unlink()
    kept = exp / "seed1" / "scl" / "scores.json"
    about = json.loads(kept.read_text())
    kept.write_text(json.dumps({**about, "protocol": {**about["protocol"], "retrieval": "otherwise"}}))
    rows = [{**row, "seed": 1} for row in about["results"]]
    (tmp_path / "results.json").write_text(json.dumps(rows))
    result = score(corpus, exp / "seed0", tmp_path)
    assert result.returncode == 0 and "seed1/scl: asked r1_a2t_1src, " in result.stderr, result.stderr
    found = json.loads((tmp_path / "results.json").read_text())
    tables = {
        seed: {row["metric"] for row in found if (row["tag"], row["seed"]) == ("scl", seed)} for seed in (0, 1, "0+1")
    }
    assert tables[0] == {row["metric"] for row in rows} and "r1_a2t_1src" in tables[0]
    assert (
        tables[1]
        == tables["0+1"]
        == {metric for metric in tables[0] if "_a2t_" not in metric and "_t2a_" not in metric}
    )
    assert all(row["seed_sd"] == 0 for row in found if row["seed"] == "0+1")


def test_a_model_without_figures_has_no_rows(corpus, tmp_path):
    """SELD of sounds that have no class."""
    folder = tmp_path / "tiny" / "seed0" / "seld"
    folder.mkdir(parents=True)
    (folder / "done.json").write_text("{}")
    models = {folder: lambda: lambda sets, images: {}}
    fixed.run(folder.parent, models, corpus, fixed.ScoreConf([]), tmp_path / "results.json", {})
    assert {row["tag"] for row in json.loads((tmp_path / "results.json").read_text())} == {"ceiling", "direct_sound"}
    assert json.loads((folder / "scores.json").read_text())["results"] == []


def test_only_folders_of_trainings_are_scored(corpus, folder, tmp_path):
    for exp, told in ((tmp_path, "no trained model; run stages 3 and 4"), (folder.parents[1], "no trained model")):
        result = score(corpus, exp, tmp_path / "out")
        assert result.returncode == 1 and told in result.stderr and result.stderr.count("error:") == 1
    (tmp_path / "mine").symlink_to(folder.parent)
    result = score(corpus, tmp_path / "mine", tmp_path / "out")
    assert result.returncode == 1 and "is named <corpus>/seed<n>, such as" in result.stderr
    assert not (tmp_path / "out").exists()
