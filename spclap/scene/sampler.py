"""Draws scenes. Everything random comes from a generator that the caller seeds with (seed, epoch, index)."""

from collections.abc import Collection, Sequence

import numpy as np

from spclap.data.datadir import Clip
from spclap.errors import DataError
from spclap.scene.bank import RirBank
from spclap.scene.scene import Scene, Source
from spclap.scene.sounds import SoundConf
from spclap.space.directions import DIRECTIONS


class SceneSampler:
    """Draws scenes of clips at different directions in one room.

    Args: sounds, one of which is drawn for each scene; settings, of the rooms, none: all that the bank has.
    """

    def __init__(
        self, clips: list[Clip], bank: RirBank, sounds: Sequence[SoundConf], settings: Collection[str] = ()
    ):  # fmt: skip
        self.bank, self.sounds, self.rooms = bank, sounds, bank.rooms(settings)
        self.by_label: dict[str, list[Clip]] = {}
        for clip in clips:
            self.by_label.setdefault(clip.labels[-1], []).append(clip)
        self.labels = sorted(self.by_label)
        self.width = max(len(clip.captions) for clip in clips)  # captions that a clip has at most
        counts = np.array([len(self.by_label[label]) for label in self.labels], dtype=float)
        self.weights = counts / counts.sum()

    def draw(self, rng: np.random.Generator, n_sources: int, scene_id: str) -> Scene:
        """One scene; clips of one scene differ in their most general label, or in their first where kinds may recur,
        and places in direction.

        Raises DataError when there are fewer labels than sources.
        """
        if n_sources > min(len(self.labels), len(DIRECTIONS)):
            raise DataError(f"a scene of {n_sources} sources needs as many labels; this split has {len(self.labels)}")
        room = self.rooms[rng.integers(len(self.rooms))]
        sound = self.sounds[rng.integers(len(self.sounds))] if len(self.sounds) > 1 else self.sounds[0]
        clips = self._clips(rng, n_sources, sound.recurring > 0 and rng.random() < sound.recurring)
        directions = rng.permutation(len(DIRECTIONS))[:n_sources]
        sources = []
        for clip, direction in zip(clips, directions, strict=True):
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
                    captions=clip.captions,
                    **sound.draw_source(rng),
                )
            )
        return Scene(scene_id, room, tuple(sources), recorder=sound.draw_recorder(rng))

    def _clips(self, rng: np.random.Generator, count: int, recurring: bool) -> list[Clip]:
        """Of different kinds; or of any, but of different first labels."""
        drawn = rng.choice(len(self.labels), size=count, replace=recurring, p=self.weights)
        of_kinds = [self.by_label[self.labels[kind]] for kind in drawn]
        clips = [clips[rng.integers(len(clips))] for clips in of_kinds]
        if len({clip.labels[0] for clip in clips}) < count and recurring:
            return self._clips(rng, count, recurring=False)
        return clips

    def fixed(self, seed: list[int], n_sources: int, count: int, prefix: str) -> list[Scene]:
        """`count` scenes that depend on the seed alone."""
        return [
            self.draw(np.random.default_rng([*seed, n_sources, index]), n_sources, f"{prefix}-{index:05d}")
            for index in range(count)
        ]
