"""What could be had on scenes."""

import json

import numpy as np
import pandas as pd
import pytest

from spclap.evaluate.ceilings import ceilings, lateral_angle
from spclap.scene.scene import Scene, Source
from spclap.space.directions import direction_of


def test_lateral_angle_is_that_of_the_delay():
    """Of far sources: sin(angle) * spacing is how much longer the way to the left microphone is."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        left, right, towards = rng.standard_normal((3, 3))
        left, right = left * 0.1, right * 0.1
        source = (left + right) / 2 + 1000 * towards / np.linalg.norm(towards)
        longer = np.linalg.norm(source - left) - np.linalg.norm(source - right)
        angle = lateral_angle(json.dumps([left.tolist(), right.tolist()]), json.dumps(source.tolist()))
        assert np.sin(np.deg2rad(angle)) * np.linalg.norm(right - left) == pytest.approx(longer, abs=1e-4)


def test_elevation_takes_words_from_the_delay_and_shared_captions_from_assignment(bank):
    class Raised:
        table = pd.DataFrame(
            {"mics": [json.dumps([[0, 0.1, 0], [0, -0.1, 0]])] * 2, "source": ["[0.1, -1, 0]", "[0.1, -1, 1]"]}
        )

    right = [
        Scene("s", "r", (Source("dog", "a dog", ("dog",), row, "right", 84.0, 0.0, 0.0),)) for row in (0, 1)
    ]  # fmt: skip
    found = ceilings(right, Raised())
    assert found["direct_sound"]["direction_1src"].tolist() == [100, 0]
    assert found["ceiling"]["direction_1src"].tolist() == [100, 100]
    cow = Source("cow", "an animal", ("cow",), 0, "left", -60.0, 0.0, 0.0, captions=("a cow", "an animal"))
    ewe = Source("ewe", "an animal", ("sheep",), 1, "right", 60.0, 0.0, 0.0, captions=("a ewe", "an animal"))
    dog = Source("dog", "a dog", ("dog",), 1, "right", 60.0, 0.0, 0.0)
    pairs = [Scene("same", "r", (cow, ewe)), Scene("other", "r", (cow, dog))]
    assert ceilings(pairs, Raised())["ceiling"]["assignment_2src"].tolist() == [0, 100]


def test_level_sources_of_simulated_rooms_are_where_their_words_say(bank):
    """Of the places of a bank those that the delay puts elsewhere are above or below the pair."""
    for row in bank.table.itertuples():
        mics, source = np.array(json.loads(row.mics)), np.array(json.loads(row.source))
        level = json.dumps([*source[:2].tolist(), mics[0, 2]])
        assert direction_of(lateral_angle(row.mics, level)) == row.direction
