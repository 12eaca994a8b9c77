"""Vectors of recordings and captions from a trained model.

model = SpatialCLAP.from_pretrained("my_model")  # made by `spclap export`
audio = model.embed_audio(["street.wav"])
text = model.embed_text(["a dog barks on the left side, and rain falls in front"])
similarity = audio @ text.T
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from os import PathLike
from pathlib import Path

import numpy as np
import torch

from spclap.data.audio import Window, array_stream, windows
from spclap.data.datadir import visible
from spclap.data.decode import Stream
from spclap.data.progress import progress
from spclap.data.stream import open_stream
from spclap.errors import DataError
from spclap.model.captioner import Captioner
from spclap.model.checkpoints import about, load_captioner, load_model
from spclap.model.recognise import Presence
from spclap.model.spatial_clap import SpatialClap
from spclap.space.array import FORMS, SAMPLE_RATE, Array, array_of
from spclap.space.family import belongs

Recording = str | PathLike | np.ndarray | torch.Tensor
AT_ONCE = 8  # windows of a recording that are embedded together
MIN_SCENE = 0.5  # s, less is too short for content encoders


@dataclass(frozen=True)
class Heard:
    """What was heard from `start` to `end` s: a vector (dim,) of unit length, None for silence, its energy, and whether
    it is more than noise, see `Presence`."""

    start: float
    end: float
    vector: np.ndarray | None
    energy: float
    something: bool


class SpatialCLAP:
    """A trained Spatial-CLAP. Vectors are numpy arrays (n, dim) of unit length: cosines are matrix products.

    Recordings are stereo: files of any rate and length, or arrays (2, samples), channel 0 left, at `sample_rate` Hz
    (needed for arrays alone). One alone, not in a list, counts as a list of one, and so does one caption: the result
    has one row. `array` says what heard them, in the words of docs/arrays.md such as "ortf" or "sphere:0.0875"; if not
    given it is the model's default, `model.clap.array`.

    Args: scene_seconds, s, of the scenes that `clap` learned from; what the folder says if not given.
    """

    sample_rate = SAMPLE_RATE

    def __init__(self, clap: SpatialClap, folder: Path | None = None, scene_seconds: float | None = None):
        self.clap, self.folder, self._scene_seconds = clap.eval(), folder, scene_seconds
        self._said: set[Array] = set()  # arrays of which a line said that they are new
        self._presence = Presence()

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, device: str | torch.device = "cpu", scene_seconds: float | None = None
    ) -> "SpatialCLAP":
        """Load a model directory; DataError when it is none."""
        return cls(load_model(Path(folder), device), Path(folder), scene_seconds)

    @property
    def device(self) -> torch.device:
        return self.clap.logit_scale.device

    @property
    def scene_seconds(self) -> float:
        """s, length of the scenes that the model learned from and of the windows in which it hears; DataError for a
        model that does not say."""
        seconds = self._scene_seconds
        if seconds is None and self.folder is not None:
            seconds = about(self.folder).get("scene_seconds")
        if seconds is None:
            where = self.folder / "config.yaml" if self.folder else "the model"
            raise DataError(f"{where}: has no scene_seconds; export it anew or give SpatialCLAP scene_seconds")
        if not MIN_SCENE <= seconds < float("inf"):
            raise DataError(f"scene_seconds is {seconds}; it must be {MIN_SCENE} s or more")
        return seconds

    @property
    def arrays(self) -> list[str]:
        """What the model heard through in training: words for arrays, with ranges; empty if it does not say."""
        return about(self.folder).get("arrays", []) if self.folder else []

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

    def listen(
        self,
        recording: Recording,
        sample_rate: int | None = None,
        window: float | None = None,
        name: str = "recording",
        array: Array | str | None = None,
    ) -> Iterator[Heard]:
        """A recording window by window, one after the other, the last one at its end; `window` s, `scene_seconds` if
        not given. DataError as of `embed_audio`, at the end of the recording if need be."""
        stream, array = _stream(recording, sample_rate, name), self.told(array)
        parts = self._windows(stream, window)
        while batch := list(islice(parts, AT_ONCE)):
            yield from self._hear(batch, [array])

    def _windows(self, stream: Stream, window: float | None = None) -> Iterator[Window]:
        with progress(total=stream.seconds, desc=Path(stream.name).name, unit="s") as bar:
            for part in windows(stream, self.sample_rate, self.scene_seconds, window):
                yield part
                bar.update(part.end - bar.n)

    @torch.inference_mode()
    def _hear(self, batch: list[Window], arrays: list[Array]) -> list[Heard]:
        """Windows heard by `arrays`, that of each or one for all."""
        rows = [row for row, part in enumerate(batch) if part.audio is not None]
        found = iter(())
        if rows:
            stereo = torch.from_numpy(np.stack([batch[row].audio for row in rows]))
            own = arrays if len(arrays) == 1 else [arrays[row] for row in rows]
            vectors = self.clap.embed_audio(stereo.to(self.device), own).float().cpu().numpy()
            found = iter(zip(vectors, self._presence(stereo, own).tolist(), strict=True))
        heard = ((None, False) if part.audio is None else next(found) for part in batch)
        return [
            Heard(part.start, part.end, vector, part.energy, some)
            for part, (vector, some) in zip(batch, heard, strict=True)
        ]

    def embed_audio(
        self,
        recordings: Recording | Sequence[Recording],
        sample_rate: int | None = None,
        array: Array | str | Sequence[Array | str] | None = None,
    ) -> np.ndarray:
        """Recordings -> (n, dim); array, what heard all of them, or a list of what heard each.

        The vector of a recording is the mean of those of its windows, `scene_seconds` long, weighted by their energy. A
        line says so where nothing but noise is heard.
        Raises DataError for a recording that is not stereo, empty, silent, too short or not finite.
        """
        recordings = _listed(recordings)
        if not len(recordings):
            raise DataError("no recordings; give at least one")
        several = isinstance(array, Sequence) and not isinstance(array, str)
        arrays = [self.told(one) for one in (array if several else [array])]
        if len(arrays) not in (1, len(recordings)):
            raise DataError(f"array lists {len(arrays)} for {len(recordings)} recordings; give one for each, or one")
        pools = [_Pool(self.clap.dim) for _ in recordings]
        parts = self._parts(recordings, sample_rate)
        while batch := list(islice(parts, AT_ONCE)):
            rows, windows_ = zip(*batch, strict=True)
            heard = self._hear(list(windows_), arrays if len(arrays) == 1 else [arrays[row] for row in rows])
            for row, one in zip(rows, heard, strict=True):
                pools[row].add(one)
        for row, pool in enumerate(pools):
            if not pool.something:
                logging.warning("%s: nothing but noise is heard", _name(recordings[row], row))
        return np.stack([pool.vector for pool in pools])

    def _parts(self, recordings: Sequence[Recording], sample_rate: int | None) -> Iterator[tuple[int, Window]]:
        """The windows of all recordings, each with the number of its recording."""
        for row, recording in enumerate(progress(recordings, desc="recordings")):
            stream = _stream(recording, sample_rate, f"recording {row}")
            for part in self._windows(stream):
                yield row, part

    get_audio_embeddings = embed_audio  # as others call it

    @cached_property
    def captioner(self) -> Captioner:
        """DataError for a model without one."""
        if self.folder is None:
            raise DataError("the model has no folder and so no captioner; load one with from_pretrained")
        return load_captioner(self.folder, self.clap.dim, self.device)

    def caption(
        self,
        recordings: Recording | Sequence[Recording],
        sample_rate: int | None = None,
        beams: int = 1,
        array: Array | str | None = None,
    ) -> list[str]:
        """What recordings as a whole are about, and where; greedy or with `beams`. One of nothing but noise has a
        caption too, and a line that says so."""
        return self._say(self.embed_audio(recordings, sample_rate, array), beams)

    def caption_windows(
        self,
        recording: Recording,
        sample_rate: int | None = None,
        window: float | None = None,
        beams: int = 1,
        array: Array | str | None = None,
    ) -> Iterator[tuple[float, float, str | None]]:
        """Start and end in s of every window of a recording and what it is about, None where it is silent or noise."""
        for heard in self.listen(recording, sample_rate, window, array=array):
            yield heard.start, heard.end, self._say(heard.vector[None], beams)[0] if heard.something else None

    @torch.inference_mode()
    def _say(self, vectors: np.ndarray, beams: int) -> list[str]:
        return self.captioner.generate(torch.from_numpy(vectors).to(self.device), beams)

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
        self.total, self.only, self.count, self.something = np.zeros(dim), None, 0, False

    def add(self, heard: Heard) -> None:
        self.something |= heard.something
        if heard.vector is not None:
            self.total, self.only = self.total + heard.energy * heard.vector, heard.vector
            self.count += 1

    @property
    def vector(self) -> np.ndarray:
        """(dim,) of unit length; that of a single window to the bit."""
        return self.only if self.count == 1 else (self.total / np.linalg.norm(self.total)).astype(np.float32)


def _listed(recordings: Recording | Sequence[Recording]) -> Sequence[Recording]:
    """A recording alone as a list of one: a path, or an array of two axes."""
    alone = isinstance(recordings, str | bytes | PathLike) or getattr(recordings, "ndim", 0) in (1, 2)
    return [recordings] if alone else recordings


def _name(recording: Recording, index: int) -> str:
    return str(recording) if isinstance(recording, str | PathLike) else f"recording {index}"


def _stream(recording: Recording, sample_rate: int | None, name: str) -> Stream:
    if isinstance(recording, str | PathLike):
        return open_stream(Path(recording))
    if isinstance(recording, bytes):
        raise DataError(f"{name} is bytes; give a path as text, or an array")
    if sample_rate is None:
        raise DataError(f"{name} is an array; say its sample_rate in Hz")
    array = recording.detach().cpu().numpy() if torch.is_tensor(recording) else np.asarray(recording)
    return array_stream(array, sample_rate, name)
