"""Audio in containers that libsndfile does not read, through FFmpeg (package av, extra `m4a`)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from spclap.errors import DataError

SLACK = 0.2  # s that a container may announce more than its codec gives


def require_decoder() -> None:
    """DataError without the package av."""
    try:
        import av  # noqa: F401
    except ImportError:
        raise DataError("m4a, mp4, aac and webm need the package av; run `pip install -e .[m4a]`") from None


@contextmanager
def _opened(path: Path) -> Iterator:
    """The container and its audio stream; DataError for a file without one, or without the package."""
    require_decoder()
    import av

    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise DataError(f"{path}: has no audio stream; replace it or remove the clip")
            yield av, container, container.streams.audio[0]
    except av.FFmpegError as error:
        raise DataError(f"{path}: not readable as audio: {error}; replace it or remove the clip") from error


def _announced(path: Path, container, stream) -> float:
    """s that a file says it has, 0 where it does not say: WebM says it of all its streams together, raw AAC has no
    header and FFmpeg guesses."""
    if path.suffix.lower() == ".aac":
        return 0.0
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration and len(container.streams) == 1 else 0.0


def decode(path: Path) -> tuple[np.ndarray, int]:
    """(samples, channels) float32 and the rate in Hz; DataError for a file that cannot be read to its end."""
    with _opened(path) as (av, container, stream):
        resampler = av.AudioResampler(format="fltp")
        frames = [part.to_ndarray() for frame in container.decode(stream) for part in resampler.resample(frame)]
        rate = stream.rate
        announced = _announced(path, container, stream)
    seconds = sum(frame.shape[1] for frame in frames) / rate
    if not frames or seconds < announced - SLACK:
        raise DataError(f"{path}: truncated, {seconds:.2f} of {announced:.2f} s can be read; fetch it again")
    return np.concatenate(frames, axis=1).T.astype(np.float32), rate
