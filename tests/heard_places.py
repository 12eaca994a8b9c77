"""A model for tests that hears directions by physics and knows no sounds: what the page asks of a `SpatialCLAP`."""

from types import SimpleNamespace

import numpy as np

from spclap.evaluate.adapters import Cues
from spclap.space.array import Array, array_of


class Places:
    """Args: told, whether it can be told an array; arrays, those of its training."""

    def __init__(self, told: bool = True, arrays: list[str] = ()):
        self.cues = Cues()
        self.clap, self.arrays = SimpleNamespace(array=array_of("pair:0.17"), told=told), list(arrays)

    def told(self, array: str) -> Array:
        return array_of(array)

    def embed_audio(self, stereo: np.ndarray, rate: int, array: str) -> np.ndarray:
        return unit(self.cues.embed_audio(stereo[None], rate, [array_of(array)]))

    def embed_text(self, captions: list[str]) -> np.ndarray:
        return unit(self.cues.embed_text(captions))


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
