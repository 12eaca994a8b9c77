"""What could be had on a set of scenes: at best, and by the delay between the microphones alone."""

import json

import numpy as np

from spclap.evaluate.results import Values
from spclap.scene.directions import direction_of
from spclap.scene.meaning import caption_width, fits, statements
from spclap.scene.rooms import RirBank
from spclap.scene.scene import Scene

CEILINGS = {
    "ceiling": "who knows the captions of clips and hears every place: all in retrieval, where what is true is right; "
    "in direction and assignment the scenes of which no other permutation's caption is true",
    "delay_alone": "who hears the delay between the microphones and nothing else: the scenes whose sources all lie, by "
    "it, in the sector of their word; sources above or below the pair sound nearer to the front than they are",
}


def ceilings(scenes: list[Scene], bank: RirBank) -> dict[str, Values]:
    """Key of CEILINGS -> metric -> percent of each scene, of scenes of one size."""
    size, unique = scenes[0].size, np.array([100.0 * _unique(scene) for scene in scenes])
    best = {f"r1_{way}_{size}src": np.full(len(scenes), 100.0) for way in ("a2t", "t2a")}
    if size >= 2:
        best[f"assignment_{size}src"] = unique
    if size > 2:
        return {"ceiling": best}
    lateral = [lateral_angle(row.mics, row.source) for row in bank.table.itertuples()]
    heard = [all(direction_of(lateral[s.rir]) == s.direction for s in scene.sources) for scene in scenes]
    name = f"direction_{size}src"
    return {"ceiling": {**best, name: unique}, "delay_alone": {name: 100.0 * np.array(heard)}}


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
