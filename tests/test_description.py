"""What captions put where."""

import numpy as np
import pytest

from spclap.evaluate.description import dw_sbert, parse, spatial_accuracy
from spclap.scene.caption import caption_at
from spclap.scene.directions import DIRECTIONS


def same(first, second) -> np.ndarray:
    """1 for the same words, 0.5 for a shared one, 0 else."""

    def cosine(a: str, b: str) -> float:
        a, b = set(a.split()), set(b.split())
        return 1.0 if a == b else 0.5 * bool(a & b)

    return np.array([[cosine(a, b) for b in second] for a in first])


@pytest.mark.parametrize("where", DIRECTIONS)
def test_captions_of_scenes_come_back(where):
    other = DIRECTIONS[(DIRECTIONS.index(where) + 2) % 5]
    caption = caption_at(["a dog barks", "rain and wind"], [where, other])
    assert parse(caption) == [("a dog barks", where), ("rain and wind", other)]


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("On the left side a dog barks, and in front rain falls", [("a dog barks", "left"), ("rain falls", "front")]),
        ("a dog to the left while rain falls straight ahead", [("a dog", "left"), ("rain falls", "front")]),
        ("a bell from the front right", [("a bell", "front-right")]),
        ("a car on the right, then a horn at the left front.", [("a car", "right"), ("a horn", "front-left")]),
        ("bread and butter, and tea in the front-left, and a kettle on the right side",
         [("bread and butter, and tea", "front-left"), ("a kettle", "right")]),
        ("a person walks in front of a shop on the left side", [("a person walks in front of a shop", "left")]),
        ("a cat on your left; birds in the centre", [("a cat", "left"), ("birds", "front")]),
        ("the engine is left running in front", [("the engine is left running", "front")]),
        ("a dog barks", []),
        ("on the left side", []),
        ("", []),
    ],
)  # fmt: skip
def test_other_words_and_orders(caption, expected):
    assert parse(caption) == expected


SOURCES = [("a dog", "left"), ("rain", "front")]


@pytest.mark.parametrize(
    ("caption", "right"),
    [
        ("a dog on the left side, and rain in front", True),
        ("rain in front, and a dog on the left side", True),
        ("a small dog on the left side, and rain in front", True),
        ("a dog in front, and rain on the left side", False),
        ("a dog on the left side", False),
        ("a dog on the left side, and rain in front, and a cat on the right side", False),
        ("a dog on the left side, and rain in the front-left", False),
        ("a dog and rain", False),
    ],
)
def test_spatial_accuracy(caption, right):
    assert spatial_accuracy(SOURCES, caption, same) is right


@pytest.mark.parametrize(
    ("caption", "score"),
    [
        ("a dog on the left side, and rain in front", 1.0),
        ("a cat on the left side, and rain in front", 0.75),  # "a" is shared
        ("a dog on the left side", 0.5),
        ("a dog on the left side, and rain in front, and snow on the right side", 2 / 3),
        ("rain on the left side, and a dog in front", 0.0),
        ("nothing", 0.0),
    ],
)
def test_dw_sbert(caption, score):
    assert dw_sbert(SOURCES, caption, same) == pytest.approx(score)
