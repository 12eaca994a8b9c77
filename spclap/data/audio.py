"""Audio files in, checked; clips packed for fast random reading."""

import json
from collections.abc import Iterable
from pathlib import Path

import librosa
import numpy as np
import soundfile
import soxr

from spclap.data.containers import is_truncated
from spclap.data.datadir import DataError, atomic_path

MIN_SECONDS = 0.1  # shorter recordings have no frame for every encoder
MP3_SLACK = 4 * 1152  # frames of MP3 that its header counts and the decoder drops at the ends; others are exact


def _load(path: Path) -> tuple[np.ndarray, int]:
    """(samples, channels) float32 and the rate in Hz; DataError for a missing, unreadable or cut file."""
    if not path.is_file():
        raise DataError(f"{path}: audio file not found; correct its line in wav.scp or rerun stage 0")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: audio file is empty (0 bytes); replace it or remove the clip")
    try:
        with soundfile.SoundFile(path) as file:
            frames = file.frames
            audio = file.read(dtype="float32", always_2d=True)
            rate = file.samplerate
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise DataError(f"{path}: not readable as audio: {error}; replace it or remove the clip") from error
    if len(audio) < frames - MP3_SLACK or is_truncated(path):
        raise DataError(f"{path}: truncated, {len(audio)} frames can be read; fetch it again or remove the clip")
    return audio, rate


def _check_samples(path: Path | str, audio: np.ndarray, rate: int, min_seconds: float, hint: str = "") -> None:
    """DataError for audio that no model should see; audio (samples, channels)."""
    if len(audio) < min_seconds * rate:
        raise DataError(f"{path}: {len(audio) / rate:.3f} s long, at least {min_seconds} s are needed; remove it{hint}")
    bad = int(np.count_nonzero(~np.isfinite(audio)))
    if bad:
        raise DataError(f"{path}: {bad} samples are NaN or infinite; replace it or remove the clip")
    if not audio.any():
        raise DataError(f"{path}: all samples are zero; replace it or remove the clip")


def read_clip(
    path: Path, sample_rate: int, *, resample: bool = True, mixdown: bool = True, min_seconds: float = 0.1
) -> np.ndarray:
    """Read a file as mono float32 (samples,) at `sample_rate` Hz.

    Raises DataError for a file that is missing, unreadable, truncated, empty, shorter than `min_seconds`, all
    zero or not finite; for another rate with `resample` off and for several channels with `mixdown` off.
    """
    path = Path(path)
    audio, rate = _load(path)
    _check_samples(path, audio, rate, min_seconds, " or lower `min_seconds` in conf/feats.yaml")
    channels = audio.shape[1]
    if channels > 1 and not mixdown:
        raise DataError(f"{path}: {channels} channels, expected 1; mix it or set `mixdown: true` in conf/feats.yaml")
    if rate != sample_rate and not resample:
        raise DataError(
            f"{path}: {rate} Hz, expected {sample_rate} Hz; convert it or set `resample: true` in conf/feats.yaml"
        )
    mono = audio.mean(axis=1)
    if not mono.any():
        raise DataError(f"{path}: its {channels} channels cancel to silence when mixed; remove the clip")
    if rate != sample_rate:
        mono = soxr.resample(mono, rate, sample_rate)
    return np.ascontiguousarray(mono, dtype=np.float32)


def read_stereo(path: Path, sample_rate: int) -> np.ndarray:
    """Read a stereo file as float32 (2, samples) at `sample_rate` Hz, channel 0 left.

    Raises DataError for what `read_clip` refuses, and for any number of channels but two.
    """
    audio, rate = _load(Path(path))
    return check_stereo(audio.T, rate, sample_rate, str(path))


def check_stereo(audio: np.ndarray, rate: int, sample_rate: int, name: str) -> np.ndarray:
    """(2, samples) at `rate` Hz, float32 at `sample_rate` Hz, both channels resampled as one.

    Raises DataError, naming `name`, for another shape and for audio that is too short, silent or not finite.
    """
    if audio.ndim != 2 or audio.shape[0] != 2:
        raise DataError(f"{name}: shape {audio.shape}, expected (2, samples): places are heard from two channels")
    frames = np.ascontiguousarray(audio.T, dtype=np.float32)
    _check_samples(name, frames, rate, MIN_SECONDS)
    if rate != sample_rate:
        frames = soxr.resample(frames, rate, sample_rate)
    return np.ascontiguousarray(frames.T)


def shorten_silence(x: np.ndarray, sample_rate: int, top_db: float, max_silence: float) -> np.ndarray:
    """Cut silences of a clip (samples,): those at the ends away, those inside down to `max_silence` seconds.

    Silence is what lies more than `top_db` dB below the peak of the 40 ms level. At least one frame remains.
    """
    hop = sample_rate // 100
    keep = round(max_silence * sample_rate)
    active = librosa.effects.split(x, top_db=top_db, frame_length=4 * hop, hop_length=hop)
    if len(active) == 0:
        return x
    pieces = [x[active[0][0] : active[0][1]]]
    for (_, before), (start, stop) in zip(active[:-1], active[1:], strict=True):
        gap = x[before:start]
        if len(gap) > keep:
            gap = np.concatenate([gap[: keep - keep // 2], gap[len(gap) - keep // 2 :]])
        pieces += [gap, x[start:stop]]
    return np.concatenate(pieces)


class ClipPack:
    """All clips of a split in one float32 file, memory-mapped: `clips.npy` and `index.json`."""

    def __init__(self, folder: Path):
        """Open what `ClipPack.write` made; DataError when it is missing or incomplete."""
        self.folder = Path(folder)
        try:
            self._index = json.loads((self.folder / "index.json").read_text(encoding="utf-8"))
            self._data = np.load(self.folder / "clips.npy", mmap_mode="r")
        except FileNotFoundError as error:
            raise DataError(f"{error.filename}: not found; stage 2 makes it") from None
        except ValueError as error:
            raise DataError(f"{self.folder}: damaged clip pack: {error}; delete it and rerun stage 2") from error
        total = max((stop for _, stop in self._index.values()), default=0)
        if total != len(self._data):
            raise DataError(f"{self.folder}: index.json and clips.npy do not fit; delete the folder and rerun stage 2")
        self.ids = list(self._index)

    def __reduce__(self):
        """Pickled as its folder: worker processes map the file themselves."""
        return ClipPack, (self.folder,)

    def _span(self, clip: str) -> tuple[int, int]:
        if clip not in self._index:
            raise DataError(f"{self.folder}: no clip `{clip}`; rerun stage 2 after changing the data directory")
        return tuple(self._index[clip])

    def length(self, clip: str) -> int:
        """Samples of a clip."""
        first, last = self._span(clip)
        return last - first

    def read(self, clip: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Samples [start, stop) of a clip, a float32 copy; DataError when they are not within the clip."""
        first, last = self._span(clip)
        stop = last - first if stop is None else stop
        if not 0 <= start <= stop <= last - first:
            raise DataError(f"{self.folder}: samples {start}:{stop} of `{clip}`, which has {last - first}")
        return np.array(self._data[first + start : first + stop])

    @staticmethod
    def write(folder: Path, clips: Iterable[tuple[str, np.ndarray]]) -> None:
        """Stream (clip_id, float32 (samples,)) to disk; the two files are renamed together when complete."""
        folder = Path(folder)
        index: dict[str, list[int]] = {}
        with atomic_path(folder / "index.json") as index_path, atomic_path(folder / "clips.npy") as data_path:
            with open(data_path, "wb") as file:
                _npy_header(file, 0)
                total = 0
                for clip, audio in clips:
                    if clip in index:
                        raise DataError(f"{folder}: clip id `{clip}` is given twice; make ids unique")
                    assert audio.ndim == 1 and len(audio), f"{clip}: expected (samples,), got {audio.shape}"
                    file.write(np.asarray(audio, dtype="<f4").tobytes())
                    index[clip] = [total, total + len(audio)]
                    total += len(audio)
                file.seek(0)
                _npy_header(file, total)
            index_path.write_text(json.dumps(index), encoding="utf-8")


def _npy_header(file, length: int) -> None:
    """Header of a (length,) float32 array; numpy pads it so that the length can be corrected in place."""
    header = {"descr": "<f4", "fortran_order": False, "shape": (length,)}
    np.lib.format.write_array_header_1_0(file, header)
