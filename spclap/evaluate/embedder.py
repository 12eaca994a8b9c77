"""What can be scored: anything that hears recordings and reads captions into one space."""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
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


def load_embedder(name: str, device: str = "cpu") -> Embedder:
    """A training folder, a model directory, a folder or cached hub id of transformers' CLAP, or what the function of
    `module:function` returns. DataError for anything else; nothing is downloaded."""
    folder = Path(name)
    if (folder / "done.json").is_file():
        return _trained(folder, device)
    if (folder / "SHA256SUMS").is_file():
        from spclap.model.checkpoints import load_model

        return OfClap(load_model(folder, device))
    module, _, factory = name.partition(":")
    if factory and not folder.exists():
        return as_embedder(_made(module, factory), name)
    from spclap.evaluate.adapters import TransformersClap

    return TransformersClap(name, device)


def as_embedder(model: object, name: str) -> Embedder:
    """`model` if it can be scored, under our names; DataError if it lacks one of NAMES."""
    found = {}
    for own, other in NAMES.items():
        if (method := getattr(model, own, None) or getattr(model, other, None)) is None:
            raise DataError(f"{name} gives a {type(model).__name__} without {own} or {other}; see docs/benchmark.md")
        found[own] = staticmethod(method)
    return type("Embedder", (), {**found, "default_array": getattr(model, "default_array", None)})()


def _made(module: str, factory: str) -> object:
    """What `factory` of a module returns, which is found from the working directory too."""
    sys.path.insert(0, "")
    try:
        return getattr(importlib.import_module(module), factory)()
    except (ImportError, AttributeError, ValueError) as error:
        raise DataError(f"{module}:{factory}: {error}; give module:function of a function without arguments") from error
    finally:
        sys.path.remove("")


def _trained(folder: Path, device: str) -> OfClap:
    from spclap.engine.trained import arguments, load_training, require_clap
    from spclap.scene.corpus import Corpus

    require_clap(folder)
    args = arguments(folder)
    return OfClap(load_training(folder, Corpus(args.data, args.dump), int(device != "cpu"))[0].clap)
