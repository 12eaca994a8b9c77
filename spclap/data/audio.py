"""Audio files in, checked."""

from pathlib import Path

import librosa
import numpy as np
import soundfile
import soxr

from spclap.data.containers import is_truncated
from spclap.data.datadir import DataError
from spclap.data.decode import decode

MIN_SECONDS = 0.1  # shorter recordings have no frame for every encoder
CONTAINERS = (".m4a", ".mp4", ".aac", ".webm")  # what libsndfile does not read; the extra `m4a` does
SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", *CONTAINERS)
LFS = b"version https://git-lfs"  # what Git LFS leaves where a file was not fetched
MP3_SLACK = 4 * 1152  # frames of MP3 that its header counts and the decoder drops at the ends; others are exact


def _load(path: Path) -> tuple[np.ndarray, int]:
    """(samples, channels) float32 and the rate in Hz; DataError for a missing, unreadable or cut file."""
    if problem := _absent(path):
        raise DataError(f"{path}: {problem}; correct its line in wav.scp, or replace or remove the clip")
    try:
        if path.suffix.lower() in CONTAINERS:
            return decode(path)
        with soundfile.SoundFile(path) as file:
            frames = file.frames
            audio = file.read(dtype="float32", always_2d=True)
            rate = file.samplerate
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise DataError(f"{path}: not readable as audio: {error}; replace it or remove the clip") from error
    if len(audio) < frames - MP3_SLACK or is_truncated(path):
        raise DataError(f"{path}: truncated, {len(audio)} frames can be read; fetch it again or remove the clip")
    return audio, rate


def _absent(path: Path) -> str:
    """Why there is nothing to read, or nothing."""
    if not path.is_file():
        return "audio file not found"
    with path.open("rb") as file:
        start = file.read(len(LFS))
    if start == LFS:
        return "is a Git LFS pointer, not the file; run git lfs pull"
    return "" if start else "audio file is empty (0 bytes)"


def _check_samples(path: Path | str, audio: np.ndarray, rate: int, min_seconds: float, hint: str = "") -> None:
    """DataError for audio that no model should see; audio (samples, channels)."""
    if len(audio) < min_seconds * rate:
        raise DataError(
            f"{path}: {len(audio) / rate:.3f} s long, at least {min_seconds} s are needed; remove the clip{hint}"
        )
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
    if not np.issubdtype(audio.dtype, np.floating):
        raise DataError(f"{name}: samples are {audio.dtype}; give floats within [-1, 1]")
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
