"""A trained model that listens and reads: vectors of recordings, of their windows and of captions."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from spclap.data.audio import Window, windows
from spclap.data.datadir import visible
from spclap.data.decode import Stream
from spclap.data.progress import progress
from spclap.data.recordings import Recording, either_rate, listed, name_of, stream_of
from spclap.doctor import EQUAL_DB, SILENT_DB
from spclap.errors import DataError
from spclap.model.checkpoints import about
from spclap.model.recognise import Presence
from spclap.model.spatial_clap import SpatialClap
from spclap.space.array import FORMS, SAMPLE_RATE, Array, array_of
from spclap.space.family import belongs

AT_ONCE = 8  # windows of a recording that are embedded together
MIN_SCENE = 0.5  # s, less is too short for content encoders

EQUAL = "both channels are the same, so no place can be told: all seems to be in front"
SILENT = (
    "the left channel is silent, so all seems to be on the right",
    "the right channel is silent, so all seems to be on the left",
)


@dataclass(frozen=True)
class Heard:
    """What was heard from `start` to `end` s: a vector (dim,) of unit length, None for silence, its energy, whether it
    is more than noise, see `Presence`, and what is wrong with its channels, see `doubts`, if anything."""

    start: float
    end: float
    vector: np.ndarray | None
    energy: float
    something: bool
    doubt: str = ""


class Listener:
    """A model that hears and reads. Vectors are numpy arrays (n, dim) of unit length: cosines are matrix products.

    Recordings are stereo: files of any rate and length; arrays or tensors of torch (2, samples), channel 0 left, at
    `sampling_rate` Hz (needed for these alone; `sample_rate` means the same); {"array", "sampling_rate"}; decoders of
    `datasets`; or lists of any of these. One alone, not in a list, counts as a list of one, and so does one caption.
    `array` says what heard them, in the words of docs/arrays.md such as "ortf" or "sphere:0.0875"; if not given it is
    the model's default, `model.clap.array`.

    Args: scene_seconds, s, of the scenes that `clap` learned from; what the folder says if not given.
    """

    sample_rate = SAMPLE_RATE

    def __init__(self, clap: SpatialClap, folder: Path | None = None, scene_seconds: float | None = None):
        self.clap, self.folder, self._scene_seconds = clap.eval(), folder, scene_seconds
        self._said: set[Array] = set()  # arrays of which a line said that they are new
        self._presence = Presence()

    @property
    def device(self) -> torch.device:
        return self.clap.logit_scale.device

    @cached_property
    def about(self) -> dict:
        """What the model directory says of the model."""
        return about(self.folder) if self.folder else {}

    @property
    def scene_seconds(self) -> float:
        """s, length of the scenes that the model learned from and of the windows in which it hears; DataError for a
        model that does not say."""
        seconds = self._scene_seconds
        seconds = self.about.get("scene_seconds") if seconds is None else seconds
        if seconds is None:
            where = self.folder / "config.yaml" if self.folder else "the model"
            raise DataError(f"{where}: has no scene_seconds; export it anew or give SpatialCLAP scene_seconds")
        if not MIN_SCENE <= seconds < float("inf"):
            raise DataError(f"scene_seconds is {seconds}; it must be {MIN_SCENE} s or more")
        return seconds

    @property
    def arrays(self) -> list[str]:
        """What the model heard through in training: words for arrays, with ranges; empty if it does not say."""
        return self.about.get("arrays", [])

    def told(self, array: Array | str | None) -> Array:
        """What a recording is heard through. A line says so when training had no such array; DataError for words that
        name none, and for a model that cannot be told."""
        known = self.clap.array
        if array is None:
            return known
        if not isinstance(array, str | Array):
            raise DataError(f"array is {array!r}; give words, such as ortf: {FORMS}")
        array = array_of(array) if isinstance(array, str) else array
        words = ", ".join(learned := self.arrays or [str(known)])
        new = not belongs(array, learned)
        if new and not self.clap.told:
            raise DataError(f"array {array}: this model cannot be told what it hears through; it learned {words}")
        if new and self.arrays and array not in self._said:
            logging.warning("array %s: trained on %s, so it may hear less well", array, words)
            self._said.add(array)
        return array

    @either_rate
    def windows(
        self,
        recording: Recording,
        window: float | None = None,
        hop: float | None = None,
        sampling_rate: int | None = None,
        array: Array | str | None = None,
        name: str = "recording",
    ) -> Iterator[Heard]:
        """A recording window by window, of `window` s (`scene_seconds` if not given), one every `hop` s (one after the
        other if not given), the last one at its end. DataError as of `embed_audio`, at the end of the recording if need
        be, and for windows that are too short or leave gaps."""
        stream, array = stream_of(recording, sampling_rate, name), self.told(array)
        parts = self._windows(stream, window, hop)
        pool = _Pool(self.clap.dim)
        while batch := list(islice(parts, AT_ONCE)):
            for heard in self.hear(batch, [array]):
                pool.add(heard)
                yield heard
        if pool.doubt:
            logging.warning("%s: %s", name_of(recording, name), pool.doubt)

    def _windows(self, stream: Stream, window: float | None = None, hop: float | None = None) -> Iterator[Window]:
        with progress(total=stream.seconds, desc=Path(stream.name).name, unit="s") as bar:
            for part in windows(stream, self.sample_rate, self.scene_seconds, window, hop):
                yield part
                bar.update(part.end - bar.n)

    @torch.inference_mode()
    def hear(self, parts: Sequence[Window], arrays: Sequence[Array]) -> list[Heard]:
        """Windows of one length or several, heard by `arrays`, that of each or one for all."""
        found = [(None, False, "")] * len(parts)
        for length in sorted({part.audio.shape[1] for part in parts if part.audio is not None}):
            rows = [row for row, part in enumerate(parts) if part.audio is not None and part.audio.shape[1] == length]
            stereo = torch.from_numpy(np.stack([parts[row].audio for row in rows]))
            own = arrays if len(arrays) == 1 else [arrays[row] for row in rows]
            vectors = self.clap.embed_audio(stereo.to(self.device), own).float().cpu().numpy()
            heard = zip(vectors, self._presence(stereo, own).tolist(), doubts(stereo), strict=True)
            for row, one in zip(rows, heard, strict=True):
                found[row] = one
        return [
            Heard(part.start, part.end, vector, part.energy, some, doubt)
            for part, (vector, some, doubt) in zip(parts, found, strict=True)
        ]

    @either_rate
    def embed_audio(
        self,
        recordings: Recording | Sequence[Recording],
        sampling_rate: int | None = None,
        array: Array | str | Sequence[Array | str] | None = None,
    ) -> np.ndarray:
        """Recordings -> (n, dim); array, what heard all of them, or a list of what heard each.

        The vector of a recording is the mean of those of its windows, `scene_seconds` long, weighted by their energy. A
        line says so where nothing but noise is heard, where the channels are the same and where one is silent.
        Raises DataError for a recording that is not stereo, empty, silent, too short or not finite.
        """
        recordings = listed(recordings)
        several = isinstance(array, Sequence) and not isinstance(array, str)
        arrays = [self.told(one) for one in (array if several else [array])]
        if len(arrays) not in (1, len(recordings)):
            raise DataError(f"array lists {len(arrays)} for {len(recordings)} recordings; give one for each, or one")
        pools = [_Pool(self.clap.dim) for _ in recordings]
        parts = self._parts(recordings, sampling_rate)
        while batch := list(islice(parts, AT_ONCE)):
            rows, windows_ = zip(*batch, strict=True)
            heard = self.hear(windows_, arrays if len(arrays) == 1 else [arrays[row] for row in rows])
            for row, one in zip(rows, heard, strict=True):
                pools[row].add(one)
        for row, pool in enumerate(pools):
            if doubt := pool.doubt or ("" if pool.something else "nothing but noise is heard"):
                logging.warning("%s: %s", name_of(recordings[row], f"recording {row}"), doubt)
        return np.stack([pool.vector for pool in pools])

    def _parts(self, recordings: Sequence[Recording], sampling_rate: int | None) -> Iterator[tuple[int, Window]]:
        """The windows of all recordings, each with the number of its recording."""
        for row, recording in enumerate(progress(recordings, desc="recordings")):
            stream = stream_of(recording, sampling_rate, f"recording {row}")
            for part in self._windows(stream):
                yield row, part

    get_audio_embeddings = embed_audio  # as others call it

    @torch.inference_mode()
    def embed_text(self, captions: str | Sequence[str], batch_size: int = 256) -> np.ndarray:
        """Captions -> (n, dim). DataError for an empty list or caption."""
        captions = [captions] if isinstance(captions, str) else list(captions)
        for caption in captions:
            if not isinstance(caption, str) or not visible(caption):
                raise DataError(f"caption {caption!r} is not a text; give words")
        if not captions:
            raise DataError("no captions; give at least one")
        rows = []
        with progress(total=len(captions), desc="captions", unit="caption") as bar:
            for first in range(0, len(captions), batch_size):
                batch = captions[first : first + batch_size]
                ids = self.clap.text_encoder.tokenize(batch)
                rows.append(self.clap.embed_text(ids.to(self.device)).float().cpu().numpy())
                bar.update(len(batch))
        return np.concatenate(rows)

    get_text_embeddings = embed_text


class _Pool:
    """The mean of the vectors of a recording's windows, weighted by their energy."""

    def __init__(self, dim: int):
        self.total, self.only, self.count = np.zeros(dim), None, 0
        self.something, self.doubts = False, set()

    def add(self, heard: Heard) -> None:
        self.something |= heard.something
        if heard.vector is not None:
            self.doubts.add(heard.doubt)
            self.total, self.only = self.total + heard.energy * heard.vector, heard.vector
            self.count += 1

    @property
    def doubt(self) -> str:
        """What is wrong with the channels of all windows, if they agree."""
        return next(iter(self.doubts)) if len(self.doubts) == 1 else ""

    @property
    def vector(self) -> np.ndarray:
        """(dim,) of unit length; that of a single window to the bit."""
        return self.only if self.count == 1 else (self.total / np.linalg.norm(self.total)).astype(np.float32)


def doubts(stereo: torch.Tensor) -> list[str]:
    """What is wrong with the channels of each (N, 2, T): nothing, as good as none of one, or twice the same."""
    left, right = (stereo.square().sum(dim=2) + 1e-12).log10().mul(10).unbind(1)
    apart = ((stereo[:, 0] - stereo[:, 1]).square().sum(dim=1) + 1e-12).log10().mul(10) - torch.maximum(left, right)
    weak = torch.where((left - right).abs() > SILENT_DB, (left > right).long(), -1)
    return [
        EQUAL if same else SILENT[row] if row >= 0 else ""
        for same, row in zip((apart < EQUAL_DB).tolist(), weak.tolist(), strict=True)
    ]
