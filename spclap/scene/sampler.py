"""Draws scenes. Everything random comes from a generator that the caller seeds with (seed, epoch, index)."""

from collections.abc import Collection

import numpy as np

from spclap.data.datadir import Clip
from spclap.errors import DataError
from spclap.scene.bank import RirBank
from spclap.scene.conf import SceneConf
from spclap.scene.scene import Scene, Source
from spclap.space.directions import DIRECTIONS


class SceneSampler:
    """Draws scenes of clips of different kinds at different directions in one room.

    Args: settings, of the rooms; none: all that the bank has.
    """

    def __init__(self, clips: list[Clip], bank: RirBank, conf: SceneConf, settings: Collection[str] = ()):
        self.bank, self.conf, self.rooms = bank, conf, bank.rooms(settings)
        self.by_label: dict[str, list[Clip]] = {}
        for clip in clips:
            self.by_label.setdefault(clip.labels[-1], []).append(clip)
        self.labels = sorted(self.by_label)
        self.width = max(len(clip.captions) for clip in clips)  # captions that a clip has at most
        counts = np.array([len(self.by_label[label]) for label in self.labels], dtype=float)
        self.weights = counts / counts.sum()

    def draw(self, rng: np.random.Generator, n_sources: int, scene_id: str) -> Scene:
        """One scene; clips of one scene differ in their most general label, places in direction.

        Raises DataError when there are fewer labels than sources.
        """
        if n_sources > min(len(self.labels), len(DIRECTIONS)):
            raise DataError(f"a scene of {n_sources} sources needs as many labels; this split has {len(self.labels)}")
        room = self.rooms[rng.integers(len(self.rooms))]
        labels = rng.choice(len(self.labels), size=n_sources, replace=False, p=self.weights)
        directions = rng.permutation(len(DIRECTIONS))[:n_sources]
        sources = []
        for label, direction in zip(labels, directions, strict=True):
            clips = self.by_label[self.labels[label]]
            clip = clips[rng.integers(len(clips))]
            rows = self.bank.rows(room, DIRECTIONS[direction])
            row = int(rows[rng.integers(len(rows))])
            sources.append(
                Source(
                    clip=clip.id,
                    caption=clip.captions[rng.integers(len(clip.captions))],
                    labels=clip.labels,
                    rir=row,
                    direction=DIRECTIONS[direction],
                    azimuth=float(self.bank.table.azimuth[row]),
                    start=float(rng.random()),
                    gain_db=float(rng.uniform(-self.conf.level_db, self.conf.level_db)),
                    captions=clip.captions,
                )
            )
        return Scene(scene_id, room, tuple(sources))

    def fixed(self, seed: list[int], n_sources: int, count: int, prefix: str) -> list[Scene]:
        """`count` scenes that depend on the seed alone."""
        return [
            self.draw(np.random.default_rng([*seed, n_sources, index]), n_sources, f"{prefix}-{index:05d}")
            for index in range(count)
        ]
