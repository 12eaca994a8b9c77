"""Test scenes of the paper's protocols (PAPER, Table 1): every clip at every direction, every pair at every ordered
pair of directions. They depend on clips, rooms and seed alone."""

from collections.abc import Collection, Iterator, Sequence
from itertools import permutations

import numpy as np

from spclap.data.datadir import Clip
from spclap.errors import DataError
from spclap.scene.bank import RirBank
from spclap.scene.scene import Scene, Source
from spclap.space.directions import DIRECTIONS


def differ(first: Clip, second: Clip) -> bool:
    """Whether two clips are of different kinds and captions."""
    return first.labels[-1] != second.labels[-1] and first.captions[0] != second.captions[0]


class Grid:
    """Scenes of the clips of a split, each clip with its first caption and at one level.

    Pairs and triples take as many clips as six divides, so clips beyond that, drawn, are left out: the paper's
    galleries are of 972 of AudioCaps' 975. Fewer than six all stay. `settings`, of the rooms; none: all.
    """

    def __init__(self, clips: list[Clip], bank: RirBank, seed: int, settings: Collection[str] = ()):
        kept = np.random.default_rng([seed, 7]).permutation(len(clips))[: len(clips) // 6 * 6 or len(clips)]
        self.clips, self.bank, self.seed = [clips[index] for index in sorted(kept)], bank, seed
        self.rooms = bank.rooms(settings)

    def groups(self, size: int) -> list[tuple[Clip, ...]]:
        """Each clip in one group of `size`, drawn, with others of other kinds and captions, since no caption could tell
        equal ones apart; what is left over is left out. DataError where not one can be made."""
        shuffled = [self.clips[i] for i in np.random.default_rng([self.seed, size]).permutation(len(self.clips))]
        kinds = [clip.labels[-1] for clip in shuffled]
        groups: list[list[Clip]] = [[] for _ in range(len(shuffled) // size)]
        # dealt out like cards, the largest kind first, so that its clips come into different groups
        for clip in sorted(shuffled, key=lambda c: (-kinds.count(c.labels[-1]), kinds.index(c.labels[-1]))):
            fitting = [g for g in groups if len(g) < size and all(differ(clip, other) for other in g)]
            if fitting:
                min(fitting, key=len).append(clip)
        full = [tuple(group) for group in groups if len(group) == size]
        if not full:
            raise DataError(f"no {size} of {len(self.clips)} clips differ in kind and caption; the table needs them")
        return full

    def scene(self, clips: Sequence[Clip], directions: Sequence[str], key: Sequence[int]) -> Scene:
        """Clips at directions in a room that `key` draws."""
        rng = np.random.default_rng([self.seed, 5, *key])
        room = self.rooms[rng.integers(len(self.rooms))]
        rows = [int(rng.choice(self.bank.rows(room, direction))) for direction in directions]
        return self.placed(clips, directions, room, rows, "-".join(map(str, key)))

    def placed(self, clips: Sequence[Clip], directions: Sequence[str], room: str, rows: list[int], name: str) -> Scene:
        """Clips at rows of the RIR bank."""
        sources = [
            Source(
                clip=clip.id, caption=clip.captions[0], labels=clip.labels, rir=row, direction=direction,
                azimuth=float(self.bank.table.azimuth[row]), start=0.0, gain_db=0.0, captions=clip.captions,
            )
            for clip, direction, row in zip(clips, directions, rows, strict=True)
        ]  # fmt: skip
        return Scene(name, room, tuple(sources))

    def fixed_rir(self) -> list[Scene]:
        """Every clip at one place: the first in front in the first room."""
        room = self.rooms[0]
        row = int(self.bank.rows(room, "front")[0])
        return [self.placed([clip], ["front"], room, [row], f"fixed-{clip.id}") for clip in self.clips]

    def every_direction(self, size: int) -> list[Scene]:
        """Every group of `size` clips at every ordered choice of different directions."""
        return [
            self.scene(group, directions, [size, number, *map(DIRECTIONS.index, directions)])
            for number, group in enumerate(self.groups(size))
            for directions in permutations(DIRECTIONS, size)
        ]

    def every_order(self, size: int) -> list[Scene]:
        """The scenes of `one_direction`, each with its clips in every order at these directions, itself first."""
        return [
            self.scene([clips[i] for i in order], directions, [size, number, 9, *order])
            for number, (clips, directions) in enumerate(self.drawn(size))
            for order in permutations(range(size))
        ]

    def drawn(self, size: int) -> Iterator[tuple[tuple[Clip, ...], list[str]]]:
        """Every group of `size` clips with different directions, drawn."""
        for number, group in enumerate(self.groups(size)):
            chosen = np.random.default_rng([self.seed, 6, size, number]).permutation(len(DIRECTIONS))[:size]
            yield group, [DIRECTIONS[index] for index in chosen]

    def one_direction(self, size: int) -> list[Scene]:
        """Every group of `size` clips once, at drawn different directions."""
        return [self.scene(*drawn, [size, number]) for number, drawn in enumerate(self.drawn(size))]
