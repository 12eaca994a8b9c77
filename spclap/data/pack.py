"""All clips of a split in a few files, memory-mapped for fast random reading.

A pack is a folder of parts: `00000.npy`, samples one clip after the other, and `00000.json`, which says where each is.
A part is complete or not there, so packing goes on where a kill stopped it.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from spclap.data.files import atomic_path
from spclap.errors import DataError

PART_SAMPLES = 2**26  # of a part, about: an hour at 16 kHz
DTYPES = ("float32", "int16")


class ClipPack:
    """Clips of a split by id, float32 whatever they are stored as; stored as int16 their level is lost."""

    def __init__(self, folder: Path):
        """Open what `write_pack` made; DataError when it is missing or damaged."""
        self.folder = Path(folder)
        self._index: dict[str, tuple[int, int, int]] = {}
        self._data: list[np.ndarray] = []
        for number, (path, spans) in enumerate(_parts(self.folder)):
            try:
                self._data.append(np.load(path.with_suffix(".npy"), mmap_mode="r"))
            except (OSError, ValueError, EOFError) as error:
                raise DataError(f"{path.with_suffix('.npy')}: damaged pack: {error}; {_AGAIN}") from error
            if not _fits(spans, self._data[-1]):
                raise DataError(f"{path} and its .npy do not fit; {_AGAIN}")
            self._index.update({clip: (number, *span) for clip, span in spans.items()})
        if not self._index:
            raise DataError(f"{self.folder}: no packed clips; stage 2 makes them")
        self.ids = list(self._index)

    def __reduce__(self):
        """Pickled as its folder: worker processes map the files themselves."""
        return ClipPack, (self.folder,)

    def _span(self, clip: str) -> tuple[int, int, int]:
        if clip not in self._index:
            raise DataError(f"{self.folder}: no clip `{clip}`; rerun stage 2 after changing the data directory")
        return self._index[clip]

    def length(self, clip: str) -> int:
        """Samples of a clip."""
        _, first, last = self._span(clip)
        return last - first

    def read(self, clip: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Samples [start, stop) of a clip, a float32 copy; DataError when they are not within the clip."""
        part, first, last = self._span(clip)
        stop = last - first if stop is None else stop
        if not 0 <= start <= stop <= last - first:
            raise DataError(f"{self.folder}: samples {start}:{stop} of `{clip}`, which has {last - first}")
        samples = self._data[part][first + start : first + stop]
        if samples.dtype == np.float32 and not np.isfinite(samples).all():
            raise DataError(f"{self.folder}: `{clip}` holds NaN or infinity; {_AGAIN}")
        return np.array(samples) if samples.dtype == np.float32 else samples / np.float32(32768)


def _fits(spans: dict[str, list[int]], samples: np.ndarray) -> bool:
    """Whether spans follow each other from the first sample of a part to its last."""
    ends = [0, *(stop for _, stop in spans.values())]
    starts = [start for start, _ in spans.values()]
    return samples.ndim == 1 and samples.dtype in DTYPES and starts == ends[:-1] and ends[-1] == len(samples)


def packed(folder: Path) -> set[str]:
    """Clips in the complete parts of a pack that may be unfinished."""
    return {clip for _, spans in _parts(Path(folder)) for clip in spans}


def write_pack(folder: Path, clips: Iterable[tuple[str, np.ndarray]], dtype: str = "float32") -> None:
    """Add clips (id, float32 (samples,)) to a pack, part by part; DataError for an id that is there already."""
    folder, known = Path(folder), packed(folder)
    part: dict[str, np.ndarray] = {}
    for clip, audio in clips:
        if clip in known:
            raise DataError(f"{folder}: clip id `{clip}` is given twice; make ids unique")
        assert audio.ndim == 1 and len(audio), f"{clip}: expected (samples,), got {audio.shape}"
        known.add(clip)
        part[clip] = _stored(audio, dtype)
        if sum(map(len, part.values())) >= PART_SAMPLES:
            _write_part(folder, part)
            part = {}
    if part:
        _write_part(folder, part)


_AGAIN = "delete the folder and rerun stage 2"


def _parts(folder: Path) -> list[tuple[Path, dict[str, list[int]]]]:
    """Index files of the complete parts, and what they say: clip -> [first, last) sample."""
    parts = []
    for path in sorted(folder.glob("[0-9]*.json")):
        try:
            spans = json.loads(path.read_text(encoding="utf-8"))
            parts.append((path, {clip: [int(start), int(stop)] for clip, (start, stop) in spans.items()}))
        except (AttributeError, TypeError, ValueError) as error:
            raise DataError(f"{path}: damaged pack: {error}; {_AGAIN}") from error
    return parts


def _stored(audio: np.ndarray, dtype: str) -> np.ndarray:
    """A clip as it is kept. As int16 its peak is at full scale: scenes set the level of a clip anyway."""
    if dtype == "float32":
        return np.asarray(audio, dtype="<f4")
    return np.round(audio * (32767 / float(np.abs(audio).max()))).astype("<i2")


def _write_part(folder: Path, part: dict[str, np.ndarray]) -> None:
    """The samples first: a part counts when its index is there."""
    name = f"{len(_parts(folder)):05d}"
    ends = np.cumsum([len(audio) for audio in part.values()]).tolist()
    spans = {clip: [end - len(audio), end] for (clip, audio), end in zip(part.items(), ends, strict=True)}
    with atomic_path(folder / f"{name}.npy") as temporary, temporary.open("wb") as file:
        np.save(file, np.concatenate(list(part.values())))
    with atomic_path(folder / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(spans), encoding="utf-8")
