"""What captions put where."""

import numpy as np
import pytest

from spclap.evaluate.description import dw_sbert, parse, spatial_accuracy
from spclap.space.directions import DIRECTIONS
from spclap.space.wording import TEMPLATE


def same(first, second) -> np.ndarray:
    """1 for the same words, 0.5 for a shared one, 0 else."""

    def cosine(a: str, b: str) -> float:
        a, b = set(a.split()), set(b.split())
        return 1.0 if a == b else 0.5 * bool(a & b)

    return np.array([[cosine(a, b) for b in second] for a in first])


@pytest.mark.parametrize("where", DIRECTIONS)
def test_captions_of_scenes_come_back(where):
    other = DIRECTIONS[(DIRECTIONS.index(where) + 2) % 5]
    caption = TEMPLATE.caption(["a dog barks", "rain and wind"], [where, other])
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
        ("a dog barks on the left side, and in front rain falls", [("a dog barks", "left"), ("rain falls", "front")]),
        ("on the left side a dog barks, and rain falls in front", [("a dog barks", "left"), ("rain falls", "front")]),
        ("on the left: a dog barks; in front: rain", [("a dog barks", "left"), ("rain", "front")]),
        ("a dog on the left side barking loudly, and rain falls  in front",
         [("a dog barking loudly", "left"), ("rain falls", "front")]),
        ("a dog on the left side, in front rain and wind, and a bell to the right",
         [("a dog", "left"), ("rain and wind", "front"), ("a bell", "right")]),
        ("a man speaks in the middle of a crowd on the left side", [("a man speaks in the middle of a crowd", "left")]),
        ("a knock at the front door on the right side", [("a knock at the front door", "right")]),
        ("a car speeds ahead on the left side", [("a car speeds ahead", "left")]),
        ("a fan switches on right away in front", [("a fan switches on right away", "front")]),
        ("a train passes from left to right in front", [("a train passes from left to right", "front")]),
        ("rain in front of me, and a cat towards the far left", [("rain", "front"), ("a cat", "left")]),
        ("a cat on the left-hand side of you, and rain ahead", [("a cat", "left"), ("rain", "front")]),
        ("a cat at the centre-right", [("a cat", "front-right")]),
        ("a dog on the left side, and on the right side", [("a dog", "left"), ("", "right")]),
        ("a dog barks", []),
        ("on the left side", [("", "left")]),
        ("", []),
    ],
)  # fmt: skip
def test_other_words_and_orders(caption, expected):
    assert parse(caption) == expected


SOURCES = [(["a dog", "a hound"], "left"), (["rain"], "front")]


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
        ("a hound on the left side, and rain in front", True),
        ("a hound in front, and rain on the left side", False),
        ("a dog on the left side, and a dog in front", False),
        ("snow on the left side, and snow in front", False),  # either may be the dog: a tie
        ("a dog on the left side, and in front", False),
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
        ("a hound on the left side, and rain in front", 1.0),
        ("a dog on the left side, and rain in front, and on the right side", 2 / 3),
        ("nothing", 0.0),
    ],
)
def test_dw_sbert(caption, score):
    assert dw_sbert(SOURCES, caption, same) == pytest.approx(score)
