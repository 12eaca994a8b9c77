"""Vectors of windows on disk: shards, files of safetensors that are complete or not there and never change.

A shard holds all windows of some contents, one content after the other; a content is known by the SHA-256 of its file.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from spclap.data.files import atomic_path
from spclap.errors import DataError
from spclap.listening import Heard

SUFFIX = ".safetensors"
MOST = 2**16  # windows of a shard, about, when shards are joined: 67 MB of 510 dimensions
FEW = 16  # shards that are never too many


@dataclass(frozen=True)
class Windows:
    """Tensors: vectors (n, dim) float16 of unit length; spans (n, 2) float64, start and end in s; waves (n,) bool,
    whether there is more than noise; contents (n, 32) uint8."""

    vectors: torch.Tensor
    spans: torch.Tensor
    waves: torch.Tensor
    contents: torch.Tensor

    def __len__(self) -> int:
        return len(self.vectors)

    def part(self, first: int, last: int) -> "Windows":
        return Windows(*(tensor[first:last] for tensor in _tensors(self)))


def _tensors(windows: Windows) -> list[torch.Tensor]:
    return [getattr(windows, field.name) for field in fields(windows)]


def joined(parts: Sequence[Windows]) -> Windows:
    return Windows(*map(torch.cat, zip(*map(_tensors, parts), strict=True)))


def windows_of(content: bytes, heard: Sequence[Heard]) -> Windows:
    """Those of a content that are not silent."""
    heard = [one for one in heard if one.vector is not None]
    return Windows(
        torch.from_numpy(np.stack([one.vector for one in heard]).astype(np.float16)),
        torch.tensor([(one.start, one.end) for one in heard], dtype=torch.float64),
        torch.tensor([one.something for one in heard]),
        torch.frombuffer(bytearray(content), dtype=torch.uint8).expand(len(heard), -1),
    )


class Shards:
    """All windows of an index, memory-mapped, and where each content is.

    contents: content -> its first row and the one after its last, rows counted over all shards. DataError for a shard
    that is damaged or of other vectors than `dim`.
    """

    def __init__(self, folder: Path, dim: int):
        self.paths = sorted(Path(folder).glob(f"[0-9]*{SUFFIX}"))
        self.parts = [_read(path, dim) for path in self.paths]
        self.count = sum(map(len, self.parts))
        self.contents: dict[bytes, tuple[int, int]] = {}
        row = 0
        for part in self.parts:
            for content, first, last in _groups(part):
                self.contents.setdefault(content, (row + first, row + last))  # twice after a kill in `join`
            row += len(part)


def _read(path: Path, dim: int) -> Windows:
    try:
        with safe_open(path, "pt") as file:
            windows = Windows(*(file.get_tensor(field.name) for field in fields(Windows)))
    except FileNotFoundError as error:
        raise DataError(f"{path}: is gone, `spclap index` is joining its shards; try again") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{path}: damaged: {error}; delete it and run `spclap index` again") from error
    if windows.vectors.dtype != torch.float16 or tuple(windows.vectors.shape) != (len(windows.contents), dim):
        raise DataError(
            f"{path}: holds {windows.vectors.dtype} {tuple(windows.vectors.shape)}, expected float16 (n, {dim}); "
            f"delete it and run `spclap index` again"
        )
    return windows


def _groups(windows: Windows) -> Iterator[tuple[bytes, int, int]]:
    """Contents, each with its first row and the one after its last."""
    contents = windows.contents.numpy()
    edges = np.flatnonzero((contents[1:] != contents[:-1]).any(axis=1)) + 1
    for first, last in zip([0, *edges.tolist()], [*edges.tolist(), len(contents)], strict=True):
        yield contents[first].tobytes(), first, last


def write_shard(folder: Path, parts: Sequence[Windows]) -> None:
    """Add a shard; nothing for no parts."""
    if not parts:
        return
    number = max((int(path.stem) for path in Path(folder).glob(f"[0-9]*{SUFFIX}")), default=-1) + 1
    windows = joined(parts)
    with atomic_path(Path(folder) / f"{number:06d}{SUFFIX}") as temporary:
        temporary.write_bytes(save({field.name: getattr(windows, field.name) for field in fields(windows)}))


def join(folder: Path, dim: int, wanted: Collection[bytes]) -> None:
    """Write shards of a good size that have nothing but `wanted`, if there are many shards or more windows that are not
    wanted than are. The old ones are removed last: a kill leaves windows twice, which does no harm."""
    shards = Shards(folder, dim)
    live = sum(last - first for content, (first, last) in shards.contents.items() if content in wanted)
    if 2 * live >= shards.count and len(shards.paths) <= FEW + 2 * (live // MOST):
        return
    held, row, done = [], 0, set()
    for part in shards.parts:
        for content, first, last in _groups(part):
            if content in wanted and content not in done:
                done.add(content)
                held.append(part.part(first, last))
                row += last - first
            if row >= MOST:
                write_shard(folder, held)
                held, row = [], 0
    write_shard(folder, held)
    for path in shards.paths:
        path.unlink()
