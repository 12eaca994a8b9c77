"""Recordings in any form that people have them in, as streams."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from inspect import signature
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from spclap.data.audio import array_stream
from spclap.data.decode import Stream
from spclap.data.stream import open_stream
from spclap.errors import DataError

Recording = str | PathLike | np.ndarray | Mapping  # or a tensor of torch, or a decoder of `datasets`
RATES = (1000, 768000)  # Hz


def alone(recordings: Any) -> bool:
    """Whether this is one recording: a path, a mapping, a decoder of `datasets`, or an array or tensor of two axes."""
    plain = isinstance(recordings, str | bytes | PathLike | Mapping) or hasattr(recordings, "get_all_samples")
    samples = getattr(getattr(recordings, "dtype", None), "kind", "f") not in "OUS"  # an array of paths is a list
    return plain or (samples and getattr(recordings, "ndim", 0) in (1, 2))


def listed(recordings: Recording | Sequence[Recording]) -> Sequence[Recording]:
    """A recording alone as a list of one; DataError for an empty list, and for what is neither."""
    if recordings is None or isinstance(recordings, Real):
        raise DataError(f"recordings is {recordings!r}; give a path, an array, or a list of them")
    recordings = (
        [recordings] if alone(recordings) else recordings if isinstance(recordings, Sequence) else [*recordings]
    )
    if not len(recordings):
        raise DataError("no recordings; give at least one")
    return recordings


def name_of(recording: Recording, name: str) -> str:
    """Its path, or `name` for one without."""
    return str(recording) if isinstance(recording, str | PathLike) else name


def stream_of(recording: Recording, sampling_rate: int | None, name: str) -> Stream:
    """A path, an array or tensor (2, samples) at `sampling_rate` Hz, a mapping with "array" and "sampling_rate", or a
    decoder of `datasets`; DataError, naming `name`, for anything else and for a rate that is missing or contradicted.
    """
    if isinstance(recording, str | PathLike):
        return open_stream(Path(recording))
    if hasattr(recording, "get_all_samples"):  # its own "array" is the mean of the channels
        samples = recording.get_all_samples()
        recording = {"array": samples.data, "sampling_rate": samples.sample_rate}
    if isinstance(recording, Mapping):
        if not {"array", "sampling_rate"} <= recording.keys():
            raise DataError(f"{name} has {', '.join(map(str, recording))}; give array and sampling_rate")
        own, recording = recording["sampling_rate"], recording["array"]
        if sampling_rate not in (None, own):
            raise DataError(f"{name} has the sampling_rate {own}, told was {sampling_rate}; leave it to the recording")
        sampling_rate = own
    if isinstance(recording, bytes):
        raise DataError(f"{name} is bytes; give a path as text, or an array")
    if sampling_rate is None:
        raise DataError(f"{name} is an array; say its sampling_rate in Hz")
    if not isinstance(sampling_rate, Real) or not RATES[0] <= sampling_rate <= RATES[1]:
        raise DataError(f"{name}: sampling_rate is {sampling_rate!r}; it must be within {RATES[0]} and {RATES[1]} Hz")
    tensor = hasattr(recording, "detach")
    return array_stream(
        recording.detach().cpu().float().numpy() if tensor else np.asarray(recording), sampling_rate, name
    )


def either_rate(method: Callable) -> Callable:
    """`sample_rate` means `sampling_rate` too, since libraries call it either; DataError where both are told and
    differ."""

    @wraps(method)
    def called(*args, sample_rate: int | None = None, **named):
        told = signature(method).bind(*args, **named)
        if sample_rate is not None:
            if (other := told.arguments.get("sampling_rate")) not in (None, sample_rate):
                raise DataError(f"sampling_rate is {other}, sample_rate {sample_rate}; give one")
            told.arguments["sampling_rate"] = sample_rate
        return method(*told.args, **told.kwargs)

    return called
