"""What can be scored: anything that hears recordings and reads captions into one space."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import soxr
import torch

from spclap.errors import DataError
from spclap.model.spatial_clap import SpatialClap
from spclap.space.array import SAMPLE_RATE, Array, array_of

Arrays = None | str | Array | Sequence[str | Array]  # of no recording, of all, or of each
NAMES = {"embed_audio": "get_audio_embeddings", "embed_text": "get_text_embeddings"}  # ours, and as others call it


class Embedder(Protocol):
    """Vectors of any length; what is compared are cosines."""

    def embed_audio(self, waves: np.ndarray, sample_rate: int, array: Arrays = None) -> np.ndarray:
        """(n, channels, T) in [-1, 1], channel 0 left, -> (n, D); array, what heard them, if a model can be told."""

    def embed_text(self, captions: list[str]) -> np.ndarray:
        """n captions -> (n, D)."""


class OfClap:
    """A `SpatialClap` as an embedder: recordings are heard whole. `default_array`, what it takes to have heard them if
    nothing is said, None if it cannot be told."""

    def __init__(self, clap: SpatialClap):
        self.clap, self.default_array = clap, clap.array if clap.told else None

    @torch.no_grad()
    def embed_audio(self, waves: np.ndarray, sample_rate: int, array: Arrays = None) -> np.ndarray:
        stereo = torch.from_numpy(at_rate(waves, sample_rate, SAMPLE_RATE))
        return self.clap.embed_audio(stereo.to(self.clap.logit_scale.device), arrays_of(array)).cpu().numpy()

    @torch.no_grad()
    def embed_text(self, captions: list[str]) -> np.ndarray:
        ids = self.clap.text_encoder.tokenize(captions)
        return self.clap.embed_text(ids.to(self.clap.logit_scale.device)).cpu().numpy()


def at_rate(waves: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """(n, channels, T) at another rate, channels of a recording as one."""
    if rate == wanted:
        return np.ascontiguousarray(waves, dtype=np.float32)
    return np.stack([soxr.resample(wave.T.astype(np.float32), rate, wanted).T for wave in waves])


def arrays_of(array: Arrays) -> list[Array]:
    """Of no recording, one for all, or that of each."""
    listed = [] if array is None else [array] if isinstance(array, str | Array) else array
    return [array_of(one) if isinstance(one, str) else one for one in listed]


def as_embedder(model: object, name: str) -> Embedder:
    """`model` if it can be scored, under our names; DataError if it lacks one of NAMES."""
    found = {}
    for own, other in NAMES.items():
        if (method := getattr(model, own, None) or getattr(model, other, None)) is None:
            raise DataError(f"{name} gives a {type(model).__name__} without {own} or {other}; see docs/benchmark.md")
        found[own] = staticmethod(method)
    return type("Embedder", (), {**found, "default_array": getattr(model, "default_array", None)})()
