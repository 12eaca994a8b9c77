"""Which captions are true of which scenes.

"A bird calls on the left side" is true of every recording with a bird there whose clip has that caption, whatever it is
called in its own scene; "a sheep" is true of a ewe and a lamb, which share their label. What is true is no negative in
training and no error in retrieval.
"""

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache

import torch

from spclap.scene.scene import Scene
from spclap.space.directions import DIRECTIONS

NOTHING, PADDING = 0, -1  # at a direction where nothing sounds; in the place of a caption that there is not


@lru_cache(maxsize=2**18)
def _number(kind: str, words: str) -> int:
    """A caption or a label as an integer above 0, the same on every rank."""
    return int.from_bytes(hashlib.blake2b(f"{kind} {words}".encode(), digest_size=7).digest(), "big") + 1


def statements(items: Iterable[tuple[Scene, Sequence[int]]], width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What the captions of N (scene, permutation) say, and all that is true of their recordings, by direction.

    Args: width, captions that a clip can have. Returns said (N, 5, 2), caption and label; true (N, 5, 1 + width), label
    and captions; both integer, for `fits`. The sources of a scene are at different directions.
    """
    said, true = [], []
    for scene, permutation in items:
        told = [[NOTHING, NOTHING] for _ in DIRECTIONS]
        heard = [[NOTHING] + [PADDING] * width for _ in DIRECTIONS]
        for place, clip in enumerate(permutation):
            source, where = scene.sources[clip], DIRECTIONS.index(scene.sources[place].direction)
            label = _number("label", source.labels[0])
            told[where] = [_number("caption", source.caption), label]
            words = [_number("caption", caption) for caption in source.every_caption]
            heard[where] = [label, *words, *[PADDING] * (width - len(words))]
        said.append(told)
        true.append(heard)
    return torch.tensor(said), torch.tensor(true)


def fits(said: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """said (T, D, 2), true (R, D, W) -> (R, T) bool: caption t is true of recording r, at every direction."""
    out = torch.ones(len(true), len(said), dtype=torch.bool, device=said.device)
    for told, heard in zip(said.unbind(1), true.unbind(1), strict=True):
        out &= (heard[:, None, :, None] == told[None, :, None, :]).flatten(2).any(dim=2)
    return out


def fits_of(scenes: Sequence[Scene]) -> torch.Tensor:
    """(N, N) bool: the caption of scene n (columns) is true of scene m (rows)."""
    return fits(*statements([(scene, range(scene.size)) for scene in scenes], caption_width(scenes)))


def caption_width(scenes: Iterable[Scene]) -> int:
    """The most captions that a clip of scenes has."""
    return max(len(source.every_caption) for scene in scenes for source in scene.sources)
