"""The best that could be had on a set of scenes, whatever the model."""

import json

import numpy as np

from spclap.evaluate.results import Values
from spclap.scene.directions import direction_of
from spclap.scene.meaning import caption_width, fits, statements
from spclap.scene.rooms import RirBank
from spclap.scene.scene import Scene

CEILINGS = {
    "retrieval": "100: every caption that is true of a recording is right",
    "assignment": "scenes of which no other permutation's caption is true",
    "direction": "scenes whose sources all lie, by the delay between the two microphones, in the sector of their word: "
    "sources above or below the pair sound nearer to the front than they are",
}


def ceilings(scenes: list[Scene], bank: RirBank) -> Values:
    """Metric -> percent of each scene, of scenes of one size."""
    size, words = scenes[0].size, np.full(len(scenes), 100.0)
    found = {f"r1_{way}_{size}src": words for way in ("a2t", "t2a")}
    if size <= 2:
        lateral = [lateral_angle(row.mics, row.source) for row in bank.table.itertuples()]
        found[f"direction_{size}src"] = np.array(
            [100.0 * all(direction_of(lateral[s.rir]) == s.direction for s in scene.sources) for scene in scenes]
        )
    if size >= 2:
        found[f"assignment_{size}src"] = np.array([100.0 * _unique(scene) for scene in scenes])
    return found


def lateral_angle(microphones: str, source: str) -> float:
    """Degrees off the plane between two microphones, right positive: all that a far source's delay tells.

    Args: positions in m as JSON, (2, 3) left one first, and (3,).
    """
    left, right = np.array(json.loads(microphones))
    towards = np.array(json.loads(source)) - (left + right) / 2
    sine = towards @ (right - left) / np.linalg.norm(towards) / np.linalg.norm(right - left)
    return float(np.rad2deg(np.arcsin(np.clip(sine, -1, 1))))


def _unique(scene: Scene) -> bool:
    """Whether of all permutations' captions the true one alone is true."""
    said, true = statements([(scene, p) for p in scene.permutations()], caption_width([scene]))
    return int(fits(said, true[:1]).sum()) == 1
