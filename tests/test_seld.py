"""Classes and scores of SELD."""

import argparse
import csv
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from small_training import SMALL

from spclap.engine.batches import Batch
from spclap.engine.seld import SeldTask, SeldTraining, seld_classes
from spclap.errors import DataError
from spclap.evaluate.seld import seld_outcomes
from spclap.model.seld import Seld
from spclap.model.spatial_encoder import ContentAwareSpatialEncoder
from spclap.scene.meaning import statements
from spclap.scene.scene import Scene, Source
from spclap.space.directions import center

MINI = Path(__file__).resolve().parents[1] / "egs" / "mini"


def scene(*sources):
    return Scene("s", "r", tuple(Source(k, k, (k,), 0, d, center(d), 0.0, 0.0) for k, d in sources))


def vector(azimuth):
    return [np.cos(np.deg2rad(azimuth)), np.sin(np.deg2rad(azimuth))]


def test_labels_become_classes():
    assert seld_classes(["a", "b"], {}) == {"a": 0, "b": 1}
    assert seld_classes(["a", "b", "c"], {"y": ["c"], "x": ["a", "b"]}) == {"a": 0, "b": 0, "c": 1}
    with pytest.raises(DataError, match="missing: c"):
        seld_classes(["a", "c"], {"x": ["a"]})
    with pytest.raises(DataError, match="twice"):
        seld_classes(["a"], {"x": ["a"], "y": ["a"]})


def test_families_of_mini_hold_every_kind():
    groups = yaml.safe_load((MINI / "conf" / "train" / "seld.yaml").read_text())["classes"]
    with open(MINI / "local" / "clips.csv", newline="") as file:
        seld_classes(sorted({row["kind"] for row in csv.DictReader(file)}), groups)


def test_targets_of_scenes():
    seld = Seld(ContentAwareSpatialEncoder({"bins": 64}, channels=2, hidden=2), 3)
    model = SeldTraining(seld, {"a": (0,), "b": (1,), "c": (1,), "ac": (0, 1)})
    clips = [("a",), ("a", "b"), ("b", "c"), ("a", "unknown"), ("unknown", "ac")]
    azimuths = [(30,), (10, -60), (5, 9), (1, 2), (7, 8)]
    items = [
        (Scene("s", "r", tuple(Source(c, c, (c,), 0, "front", a, 0.0, 0.0) for c, a in zip(*item, strict=True))), order)
        for item, order in zip(zip(clips, azimuths, strict=True), [(0,), *[(0, 1)] * 4], strict=True)
    ]
    active, azimuth = model.targets(Batch(items, *statements(items, 1)))
    assert active.tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 0], [1, 0, 0], [1, 1, 0]]
    nan = np.nan
    expected = [[30, 30, 30], [10, -60, nan], [nan, nan, nan], [1, nan, nan], [8, 8, nan]]
    np.testing.assert_array_equal(azimuth, expected)


def test_directions_alone_are_learned_of_clips_whose_events_are_new(corpus):
    """AudioCaps without AudioSet's events: every clip is an event, no validation clip has one of training."""
    conf = {"spatial_encoder_conf": SMALL["spatial_encoder_conf"], "data": str(corpus.data), "dump": str(corpus.dump)}
    defaults = vars(SeldTask.get_parser().parse_args([]))
    model = SeldTask.build_model(argparse.Namespace(**{**defaults, **conf, "one_class": True}))
    assert set(model.classes_of) == set(corpus.events) and set(model.classes_of.values()) == {(0,)}


def test_level_counts_where_the_config_says_so():
    torch.manual_seed(0)
    maps, stereo = {"kind": "magnitude_phase", "n_fft": 512, "hop": 256, "bins": 64}, torch.randn(1, 2, 8000)
    conf = {"input": maps, "channels": 2, "hidden": 2}
    for equal in (True, False):
        seld = Seld(ContentAwareSpatialEncoder(**conf), 2, equal_level=equal).eval()
        with torch.no_grad():
            quieter = seld(stereo / 8)[0]  # by a power of two: rounding would turn phases of pi
            assert torch.allclose(seld(stereo)[0], quieter, atol=1e-4) == equal


def test_outcomes_of_vectors_that_point_right_and_that_are_swapped():
    scenes = [scene(("a", "left"), ("b", "right"))] * 2 + [scene(("a", "front"), ("unknown", "left"))]
    right, swapped = [vector(-72), vector(80)], [vector(80), vector(-72)]
    outcomes = seld_outcomes(scenes, np.array([right, swapped, right]), {"a": (0,), "b": (1,)})
    for name in ("direction", "assignment"):  # nothing for the scene with a sound without class
        np.testing.assert_array_equal(outcomes[name], [1, 0, np.nan])
    assert seld_outcomes(scenes[2:], np.array([right]), {"a": (0,), "b": (1,)}) == {}
