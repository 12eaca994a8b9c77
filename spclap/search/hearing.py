"""Windows of many recordings, heard in batches whatever the length of each, and read ahead in a thread."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from spclap.data.audio import Window, windows
from spclap.data.progress import progress
from spclap.data.stream import open_stream
from spclap.errors import DataError
from spclap.inference import SpatialCLAP
from spclap.listening import Heard
from spclap.space.array import Array

AT_ONCE = 16  # windows; more take more time each on a CPU, and more memory
AHEAD = 4 * AT_ONCE  # windows that are read before they are heard, 256 KB each at 2 s
Item = TypeVar("Item")
Part = Window | DataError | None  # of a recording; None ends one that is whole


def hear(
    model: SpatialCLAP, files: dict[Path, int], array: Array, window: float
) -> Iterator[tuple[Path, list[Heard] | DataError]]:
    """Each file with its windows of `window` s that are not silent, or with what is wrong with it; files: path -> size
    in bytes."""
    heard = []
    with progress(total=sum(files.values()), desc="hearing", unit="B", unit_scale=True) as bar:
        for batch in _batches(ahead(_parts(model, files, window, bar), AHEAD)):
            found = iter(model.hear([part for _, part in batch if isinstance(part, Window)], [array]))
            for path, part in batch:
                if isinstance(part, Window):
                    heard.append(next(found))
                else:
                    yield path, part or heard
                    heard = []


def _parts(model: SpatialCLAP, files: dict[Path, int], window: float, bar: tqdm) -> Iterator[tuple[Path, Part]]:
    before, scene = 0, model.scene_seconds
    for path, size in files.items():
        end = None
        try:
            stream = open_stream(path)
            for part in windows(stream, model.sample_rate, scene, window):
                if stream.seconds:
                    bar.update(before + size * min(part.end / stream.seconds, 1) - bar.n)
                if part.audio is not None:
                    yield path, part
        except DataError as error:
            end = error
        except OSError as error:
            end = DataError(f"{path}: cannot be read: {error}")
        before += size
        bar.update(before - bar.n)
        yield path, end


def _batches(parts: Iterable[tuple[Path, Part]]) -> Iterator[list[tuple[Path, Part]]]:
    """Lists with AT_ONCE windows each, but the last one."""
    batch, count = [], 0
    for path, part in parts:
        batch.append((path, part))
        count += isinstance(part, Window)
        if count == AT_ONCE:
            yield batch
            batch, count = [], 0
    yield batch


def ahead(items: Iterator[Item], most: int) -> Iterator[Item]:
    """Items that a thread makes, `most` of them before they are wanted."""
    end = object()
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(next, items, end) for _ in range(most))
        try:
            while (item := waiting.popleft().result()) is not end:
                waiting.append(pool.submit(next, items, end))
                yield item
        finally:
            pool.shutdown(cancel_futures=True)
