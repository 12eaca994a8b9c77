"""Audio through FFmpeg (package av, extra `m4a`): what libsndfile does not read, or not to its end."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spclap.errors import DataError

SLACK = 0.2  # s that a container may announce more than its codec gives
NO_INDEX = ("aac", "flac", "mp3", "ogg")  # formats of FFmpeg's whose length is a guess


@dataclass(frozen=True)
class Stream:
    """A recording that is read as it is needed: blocks (frames, channels) float32 at `rate` Hz; `seconds` is what its
    header says, None where it does not. Reading on raises DataError where a file turns out to be cut or damaged."""

    name: str
    rate: int
    channels: int
    seconds: float | None
    blocks: Iterator[np.ndarray]


def require_decoder(what: str = "m4a, mp4, aac and webm") -> None:
    """DataError, naming `what` needs it, without the package av."""
    try:
        import av  # noqa: F401
    except ImportError:
        raise DataError(f"{what} need the package av; run `pip install 'spclap[m4a]'`") from None


@contextmanager
def _opened(path: Path) -> Iterator:
    """The package, the container and its audio stream; DataError for a file without one."""
    import av

    try:  # an open file, since FFmpeg takes names such as `a:b` for addresses
        with open(path, "rb") as file, av.open(file, metadata_errors="replace") as container:
            if (count := len(container.streams.audio)) != 1:
                found = f"{count} audio streams; take one out of it" if count else "no audio stream; replace it"
                raise DataError(f"{path}: has {found} or remove the clip")
            yield av, container, container.streams.audio[0]
    except (av.FFmpegError, OSError) as error:
        raise DataError(f"{path}: not readable as audio: {error}; replace it or remove the clip") from error


def _announced(container, stream) -> float:
    """s that a file says it has, 0 where it does not say: WebM says it of all its streams together."""
    if container.format.name in NO_INDEX:
        return 0.0
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration and len(container.streams) == 1 else 0.0


def _frames(path: Path) -> Iterator[tuple[int, float, np.ndarray]]:
    """Rate in Hz, s that the file announces and samples (frames, channels), for each frame of the codec."""
    with _opened(path) as (av, container, stream):
        resampler, announced = av.AudioResampler(format="fltp"), _announced(container, stream)
        first, seconds = None, 0.0
        for frame in container.decode(stream):
            kind = (frame.sample_rate, frame.layout.nb_channels)
            first = first or kind
            if kind != first:
                old, new = (f"{channels} channels at {rate} Hz" for rate, channels in (first, kind))
                raise DataError(f"{path}: changes from {old} to {new} after {seconds:.2f} s; convert it to one kind")
            for part in resampler.resample(frame):
                seconds += part.samples / frame.sample_rate
                yield frame.sample_rate, announced, part.to_ndarray().T
        if first is None and not announced:
            raise DataError(f"{path}: holds no samples; replace it or remove the clip")
        if seconds < announced - SLACK:
            raise DataError(f"{path}: truncated, {seconds:.2f} of {announced:.2f} s can be read; fetch it again")


def decode(path: Path) -> Stream:
    """DataError for a file that FFmpeg cannot read; reading on raises it for one that ends too early or changes its
    rate or its number of channels."""
    require_decoder()
    frames = _frames(path)
    rate, announced, first = next(frames)

    def blocks() -> Iterator[np.ndarray]:
        joined, length = [first], len(first)
        for _, _, part in frames:
            joined.append(part)
            length += len(part)
            if length > 10 * rate:
                yield np.concatenate(joined)
                joined, length = [], 0
        if joined:
            yield np.concatenate(joined)

    return Stream(str(path), rate, first.shape[1], announced or None, blocks())
