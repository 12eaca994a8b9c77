"""Which captions are true of which scenes.

"A bird calls on the left side" is true of every recording with a bird there whose clip has that caption, whatever it is
called in its own scene; "a sheep" is true of a ewe and a lamb, which share their label; "a bird calls", without a
place, of a bird anywhere. What is true is no negative in training and no error in retrieval.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import permutations

import torch

from spclap.scene.scene import Scene
from spclap.space.directions import DIRECTIONS

NOTHING, PADDING = 0, -1  # at a direction where nothing sounds; in the place of a caption that there is not
PLACES = len(DIRECTIONS)


@lru_cache(maxsize=2**18)
def _number(kind: str, words: str) -> int:
    """A caption or a label as an integer above 0, the same on every rank."""
    return int.from_bytes(hashlib.blake2b(f"{kind} {words}".encode(), digest_size=7).digest(), "big") + 1


def statements(items: Iterable[tuple[Scene, Sequence[int]]], width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What the captions of N (scene, permutation) say, and all that is true of their recordings, by direction.

    Args: width, captions that a clip can have. Returns said (N, 5 + 5, 2), caption and label of each direction and then
    of what is said without a place; true (N, 5, 1 + width), label and captions of each direction; both integer, for
    `fits`. The sources of a scene are at different directions.
    """
    said, true = [], []
    for scene, permutation in items:
        told = [[NOTHING, NOTHING] for _ in range(2 * PLACES)]
        heard = [[NOTHING] + [PADDING] * width for _ in DIRECTIONS]
        for place, clip in enumerate(permutation):
            source, where = scene.sources[clip], DIRECTIONS.index(scene.sources[place].direction)
            label = _number("label", source.labels[0])
            row = PLACES + place if clip in scene.wording.unplaced else where
            told[row] = [_number("caption", source.caption), label]
            words = [_number("caption", caption) for caption in source.every_caption]
            heard[where] = [label, *words, *[PADDING] * (width - len(words))]
        said.append(told)
        true.append(heard)
    return torch.tensor(said), torch.tensor(true)


def fits(said: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """said (T, 5 + 5, 2), true (R, 5, W) -> (R, T) bool: caption t is true of recording r, at every direction.

    What is said without a place may be anywhere, so such a caption is true if one of all that put it somewhere is.
    """
    placed = [list(_placed(row)) if row[PLACES:].any() else [row[:PLACES]] for row in said]
    owner = torch.tensor([t for t, rows in enumerate(placed) for _ in rows], device=said.device)
    found = _fits(torch.stack([row for rows in placed for row in rows]), true)
    return torch.zeros(len(true), len(said), device=said.device).index_add(1, owner, found.float()) > 0


def _placed(said: torch.Tensor) -> Iterator[torch.Tensor]:
    """(5 + 5, 2) -> all (5, 2) in which what has no place has one."""
    somewhere = said[PLACES:][said[PLACES:, 0] != NOTHING]
    free = [where for where in range(PLACES) if said[where, 0] == NOTHING]
    for chosen in permutations(free, len(somewhere)):
        row = said[:PLACES].clone()
        row[list(chosen)] = somewhere
        yield row


def _fits(said: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """`fits` of said (T, 5, 2)."""
    out = torch.ones(len(true), len(said), dtype=torch.bool, device=said.device)
    for told, heard in zip(said.unbind(1), true.unbind(1), strict=True):
        out &= (heard[:, None, :, None] == told[None, :, None, :]).flatten(2).any(dim=2)
    return out


def caption_width(scenes: Iterable[Scene]) -> int:
    """The most captions that a clip of scenes has."""
    return max(len(source.every_caption) for scene in scenes for source in scene.sources)
