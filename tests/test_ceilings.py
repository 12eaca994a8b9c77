"""The best that any model could have, against geometry and a reader."""

import json

import numpy as np
import pytest

from spclap.evaluate.ceilings import ceilings, lateral_angle
from spclap.scene.directions import DIRECTIONS
from spclap.scene.rooms import RirBank, save_bank
from spclap.scene.scene import Scene, Source


def at(azimuth: float, elevation: float = 0.0, yaw: float = 0.4) -> tuple[str, str]:
    """Positions of two microphones and of a source 1 m away from a pair that looks along `yaw` (radians)."""
    azimuth, elevation, centre = np.deg2rad(azimuth), np.deg2rad(elevation), np.array([2.0, 3.0, 1.5])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    ahead = np.array([np.cos(yaw), np.sin(yaw), 0.0])
    source = centre + np.cos(elevation) * (np.cos(azimuth) * ahead + np.sin(azimuth) * right)
    source[2] += np.sin(elevation)
    return json.dumps([(centre - 0.085 * right).tolist(), (centre + 0.085 * right).tolist()]), json.dumps(list(source))


@pytest.mark.parametrize("azimuth", [-80.0, -30.0, 0.0, 20.0, 89.0])
def test_delay_tells_the_azimuth_of_sources_at_the_height_of_the_pair(azimuth):
    assert lateral_angle(*at(azimuth)) == pytest.approx(azimuth, abs=1e-6)
    higher = lateral_angle(*at(azimuth, 40.0))
    assert np.sin(np.deg2rad(higher)) == pytest.approx(np.sin(np.deg2rad(azimuth)) * np.cos(np.deg2rad(40)), abs=1e-9)


def source(rir: int, direction: str, what: str, *captions: str, label: str = "") -> Source:
    return Source(what, what, (label or what,), rir, direction, 0.0, 0.0, 0.0, captions=captions)


def test_ceilings_of_scenes(tmp_path):
    """RIR 0 is on the left, 1 on the left but high above, so that it sounds front-left, 2 on the right."""
    rows = []
    for azimuth, elevation in ((-70.0, 0.0), (-60.0, 50.0), (70.0, 0.0)):
        mics, place = at(azimuth, elevation)
        direction = DIRECTIONS[0 if azimuth < 0 else 4]
        rows.append({"room": "r", "azimuth": azimuth, "direction": direction, "mics": mics, "source": place})
    save_bank(tmp_path, np.ones((3, 2, 4), np.float32), rows)
    bank = RirBank(tmp_path)
    one = [Scene(str(rir), "r", (source(rir, rows[rir]["direction"], "a dog"),)) for rir in range(3)]
    found = ceilings(one, bank)
    assert found["direction_1src"].tolist() == [100, 0, 100] and "assignment_1src" not in found
    assert found["r1_a2t_1src"].tolist() == found["r1_t2a_1src"].tolist() == [100] * 3
    dog, cat, ewe = (source(0, "left", name) for name in ("a dog", "a cat", "a ewe"))
    rain, lamb = source(2, "right", "rain"), source(2, "right", "a lamb", label="a ewe")
    high = source(1, "left", "a dog")
    two = [Scene(str(i), "r", pair) for i, pair in enumerate(((dog, rain), (ewe, lamb), (high, rain), (cat, rain)))]
    found = ceilings(two, bank)
    assert found["direction_2src"].tolist() == [100, 100, 0, 100]
    assert found["assignment_2src"].tolist() == [100, 0, 100, 100]  # a ewe and a lamb have one label
    three = [Scene("3", "r", (dog, source(2, "front", "a bell"), rain))]
    assert sorted(ceilings(three, bank)) == ["assignment_3src", "r1_a2t_3src", "r1_t2a_3src"]
