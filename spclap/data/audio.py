"""Audio in, checked: clips for training whole, recordings window by window."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from spclap.data.decode import Stream
from spclap.data.stream import open_stream
from spclap.errors import DataError

MIN_SECONDS = 0.1  # shorter recordings are too short to tell anything
MIN_HOP = 0.01  # s between windows
SILENCE_DB = -80.0  # dB re full scale (RMS, channels together, without DC); what has no 0.1 s above it is silent


def without_dc(frames: np.ndarray) -> np.ndarray:
    """(samples, channels) less the mean of each channel."""
    return frames - frames.mean(axis=0, dtype=np.float64).astype(np.float32)


def loudest_db(frames: np.ndarray, rate: int) -> float:
    """Level of the loudest 0.1 s, channels together, of (samples, channels) in dB re full scale."""
    span = round(MIN_SECONDS * rate)
    power = np.square(frames, dtype=np.float64).mean(axis=1)
    return 10 * np.log10(np.add.reduceat(power, np.arange(0, len(power), span)).max() / span + 1e-20)


def _check_samples(path: Path | str, audio: np.ndarray, rate: int, min_seconds: float, hint: str = "") -> None:
    """DataError for audio that is too short or not finite; audio (samples, channels)."""
    if len(audio) < min_seconds * rate:
        raise DataError(
            f"{path}: {len(audio) / rate:.3f} s long, at least {min_seconds} s are needed; remove the clip{hint}"
        )
    bad = int(np.count_nonzero(~np.isfinite(audio)))
    if bad:
        raise DataError(f"{path}: {bad} samples are NaN or infinite; replace it or remove the clip")


def _require_sound(path: Path | str, level: float, what: str = "silent") -> None:
    if level < SILENCE_DB:
        raise DataError(
            f"{path}: {what}: its loudest 0.1 s have {level:.0f} dB, at least {SILENCE_DB:.0f} dB re full scale are "
            "needed; replace it or remove the clip"
        )


def read_clip(
    path: Path, sample_rate: int, *, resample: bool = True, mixdown: bool = True, min_seconds: float = MIN_SECONDS
) -> np.ndarray:
    """Read a file as mono float32 (samples,) at `sample_rate` Hz; a DC offset stays.

    Raises DataError for a file that is missing, unreadable, truncated, empty, shorter than `min_seconds`, silent or
    not finite; for another rate with `resample` off and for several channels with `mixdown` off.
    """
    path = Path(path)
    stream = open_stream(path)
    rate, channels = stream.rate, stream.channels
    audio = np.concatenate([np.empty((0, channels), np.float32), *stream.blocks])
    _check_samples(path, audio, rate, min_seconds, " or lower `min_seconds` in conf/feats.yaml")
    if channels > 1 and not mixdown:
        raise DataError(f"{path}: {channels} channels, expected 1; mix it or set `mixdown: true` in conf/feats.yaml")
    if rate != sample_rate and not resample:
        raise DataError(
            f"{path}: {rate} Hz, expected {sample_rate} Hz; convert it or set `resample: true` in conf/feats.yaml"
        )
    _require_sound(path, loudest_db(without_dc(audio), rate))
    mono = audio.mean(axis=1)
    _require_sound(path, loudest_db(without_dc(mono[:, None]), rate), f"its {channels} channels cancel to silence")
    if rate != sample_rate:
        mono = soxr.resample(mono, rate, sample_rate)
    return np.ascontiguousarray(mono, dtype=np.float32)


@dataclass(frozen=True)
class Window:
    """Part of a recording, from `start` to `end` s.

    audio: (2, samples), channel 0 left, without DC, both channels resampled as one; None where it is silent.
    energy: sum of squares over both channels, times s, of what no window before it has.
    """

    start: float
    end: float
    audio: np.ndarray | None
    energy: float


def _cut(blocks: Iterator[np.ndarray], size: int, hop: int) -> Iterator[tuple[int, np.ndarray, int]]:
    """Where windows of a recording begin, their samples (size, channels), and how many of these no window before has:
    one every `hop` samples, the last one at the end of the recording; a single shorter one where there is no more."""
    last, held, start, length = None, [], 0, 0
    for block in blocks:
        held.append(block)
        length += len(block)
        if length < size:
            continue
        frames, first = np.concatenate(held), 0
        while first + size <= length:
            yield start, frames[first : first + size], size if last is None else hop
            last = frames[first : first + size]
            first, start = first + hop, start + hop
        held, length = [frames[first:]], length - first
    if last is None and length:
        yield 0, np.concatenate(held), length
    elif length > size - hop:
        yield start + length - size, np.concatenate([last[:hop], *held])[-size:], length - (size - hop)


def array_stream(audio: np.ndarray, rate: int, name: str) -> Stream:
    """(2, samples) in memory as a recording; DataError, naming `name`, for another shape or type."""
    if audio.ndim != 2 or audio.shape[0] != 2:
        raise DataError(f"{name}: shape {audio.shape}, expected (2, samples): places are heard from two channels")
    if not np.issubdtype(audio.dtype, np.floating):
        raise DataError(f"{name}: samples are {audio.dtype}; give floats within [-1, 1]")
    frames = np.ascontiguousarray(audio.T, dtype=np.float32)
    return Stream(name, rate, 2, len(frames) / rate, iter([frames]))


def require_window(seconds: float, hop: float) -> None:
    """DataError for windows of `seconds`, one every `hop` s, that are too short or leave gaps."""
    if not MIN_SECONDS <= seconds < float("inf") or not MIN_HOP <= hop <= seconds:
        raise DataError(
            f"window is {seconds} s, hop {hop} s; a window must be {MIN_SECONDS} s or more, a hop {MIN_HOP} s or more "
            f"and at most a window"
        )


def windows(
    stream: Stream, sample_rate: int, scene_seconds: float, seconds: float | None = None, hop: float | None = None
) -> Iterator[Window]:
    """A stereo recording in windows of `seconds` (`scene_seconds` if not given), one every `hop` s (one after the other
    if not given), for a model at `sample_rate` Hz that learned from scenes of `scene_seconds`. What is shorter than a
    scene is repeated, as in training.

    Raises DataError for any number of channels but two, for a recording that is too short, not finite or silent as a
    whole, for windows that `require_window` refuses, and for what `open_stream` refuses.
    """
    seconds = scene_seconds if seconds is None else seconds
    hop = seconds if hop is None else hop
    require_window(seconds, hop)
    name, rate = stream.name, stream.rate
    if stream.channels != 2:
        raise DataError(f"{name}: {stream.channels} channel(s), expected 2: places are heard from two channels")
    size, scene = round(seconds * rate), round(scene_seconds * sample_rate)
    count, loudest = 0, -np.inf
    for start, frames, new in _cut(stream.blocks, size, min(size, max(round(hop * rate), 1))):
        _check_samples(name, frames, rate, MIN_SECONDS)
        frames = without_dc(frames)
        level = loudest_db(frames, rate)
        count, loudest = count + 1, max(loudest, level)
        audio, energy = None, 0.0
        if level >= SILENCE_DB:
            audio = frames if rate == sample_rate else soxr.resample(frames, rate, sample_rate)
            wanted = max(scene, round(len(frames) * sample_rate / rate))
            audio = np.ascontiguousarray(np.resize(audio, (wanted, 2)).T)
            energy = float(np.square(frames[-new:], dtype=np.float64).sum()) / rate
        yield Window(start / rate, (start + len(frames)) / rate, audio, energy)
    if not count:
        raise DataError(f"{name}: holds no samples; replace it or leave it out")
    _require_sound(name, loudest)


def shorten_silence(x: np.ndarray, sample_rate: int, top_db: float, max_silence: float) -> np.ndarray:
    """Cut silences of a clip (samples,): those at the ends away, those inside down to `max_silence` seconds.

    Silence is what lies more than `top_db` dB below the peak of the 40 ms level. At least one frame remains.
    """
    import librosa  # takes a second

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
