"""Scoring a model on the fixed scenes."""

import numpy as np
import pytest
from small_training import train

from spclap.bin.score import Scorer
from spclap.engine.iterators import FixedScenes
from spclap.errors import DataError


@pytest.fixture(scope="module")
def folder(corpus, tmp_path_factory):
    exp = tmp_path_factory.mktemp("exp") / "scl"
    assert train(corpus, exp, "--max_epoch", "1").returncode == 0
    return exp


def test_every_scene_of_the_table_has_an_outcome(corpus, folder):
    outcomes = Scorer(folder, corpus).run()
    for size in corpus.fixed_counts("test"):
        count = len(corpus.fixed("test", size))
        found = {name: len(values) for name, values in outcomes.items() if name.endswith(f"_{size}src")}
        assert found and set(found.values()) == {count}


def test_a_bad_scene_does_not_end_scoring_in_silence(corpus, folder, monkeypatch):
    """Python takes an IndexError of __getitem__ for the end of what it iterates over."""
    plain = FixedScenes.__getitem__

    def broken(self, index: int):
        if index == len(self) - 1:
            raise IndexError("scene")
        return plain(self, index)

    monkeypatch.setattr(FixedScenes, "__getitem__", broken)
    with pytest.raises(IndexError, match="scene"):
        Scorer(folder, corpus).run()


def test_scenes_that_were_left_out_are_told(corpus, folder, monkeypatch):
    monkeypatch.setattr(FixedScenes, "__len__", lambda self: len(self.batches) - 1)
    monkeypatch.setattr("spclap.bin.score.FIXED_AT_ONCE", 3)
    with pytest.raises(DataError, match="vectors of .* scenes, the table has"):
        Scorer(folder, corpus).run()


def test_vectors_of_a_broken_model_are_refused(corpus, folder, monkeypatch):
    scorer = Scorer(folder, corpus)
    plain = scorer.model.clap.embed_audio
    monkeypatch.setattr(scorer.model.clap, "embed_audio", lambda *given: plain(*given) * np.nan)
    with pytest.raises(DataError, match="audio vector 0 of .* is not finite"):
        scorer.run()
