"""Scoring a model on the fixed scenes."""

import numpy as np
import pytest
from small_training import train

from spclap.bin.score import outcomes
from spclap.engine.batches import FixedScenes
from spclap.engine.clap import ClapTraining
from spclap.errors import DataError
from spclap.evaluate.results import set_name, set_of


@pytest.fixture(scope="module")
def folder(corpus, tmp_path_factory):
    exp = tmp_path_factory.mktemp("exp") / "scl"
    assert train(corpus, exp, "--max_epoch", "1").returncode == 0
    return exp


def test_every_scene_of_the_table_has_an_outcome(corpus, folder):
    found = outcomes(folder, corpus, 0)
    for sounds in ("clean", "real"):
        for size in corpus.fixed_counts("test", sounds):
            count = len(corpus.fixed("test", size, sounds))
            lengths = {name: len(values) for name, values in found.items() if name.endswith(set_name(size, sounds))}
            assert lengths and set(lengths.values()) == {count}
    assert {"direction_1src_real", "assignment_2src_real", "reworded_direction_1src"} < found.keys()
    assert all(set_of(name) in ("1src", "2src", "3src", "1src_real", "2src_real") for name in found)


def test_a_bad_scene_does_not_end_scoring_in_silence(corpus, folder, monkeypatch):
    """Python takes an IndexError of __getitem__ for the end of what it iterates over."""
    plain = FixedScenes.__getitem__

    def broken(self, index: int):
        if index == len(self) - 1:
            raise IndexError("scene")
        return plain(self, index)

    monkeypatch.setattr(FixedScenes, "__getitem__", broken)
    with pytest.raises(IndexError, match="scene"):
        outcomes(folder, corpus, 0)


def test_scenes_that_were_left_out_are_told(corpus, folder, monkeypatch):
    plain = FixedScenes.__init__

    def three_at_once(self, corpus, split, counts, **sounds):
        plain(self, corpus, split, counts, 3, **sounds)

    monkeypatch.setattr(FixedScenes, "__init__", three_at_once)
    monkeypatch.setattr(FixedScenes, "__len__", lambda self: len(self.batches) - 1)
    with pytest.raises(DataError, match="vectors of .* scenes"):
        outcomes(folder, corpus, 0)


def test_vectors_of_a_broken_model_are_refused(corpus, folder, monkeypatch):
    plain = ClapTraining.vectors
    monkeypatch.setattr(ClapTraining, "vectors", lambda self, batch: plain(self, batch) * np.nan)
    with pytest.raises(DataError, match="audio vector 0 of .* is not finite"):
        outcomes(folder, corpus, 0)
