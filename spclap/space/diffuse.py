"""What the channels of an array have in common in a diffuse field: sound that comes evenly from everywhere."""

from functools import lru_cache

import numpy as np
import torch

from spclap.space.array import SAMPLE_RATE, Array

WAVES = 400  # plane waves that stand for a diffuse field
GRID = 129  # frequencies at which it is computed; between them it is smooth


@lru_cache(maxsize=1024)
def _factors(array: Array) -> torch.Tensor:
    """(channels, channels, GRID) complex: lower factors L, at frequencies up to half the rate, of the covariance L L^H
    of the channels in a diffuse field, of mean power 1. Waves come evenly from all over the sphere, in a spiral."""
    frequencies, number = np.linspace(0, SAMPLE_RATE / 2, GRID), np.arange(WAVES)
    right, turn = (number + 0.5) / WAVES * 2 - 1, number * np.pi * (3 - 5**0.5)
    across = np.sqrt(1 - right**2)
    vectors = np.stack([across * np.cos(turn), right, across * np.sin(turn)], axis=1)
    responses = array.toward(vectors, frequencies)  # (K, channels, F)
    covariance = np.einsum("kcf,kdf->fcd", responses, responses.conj()) / WAVES
    power = np.einsum("fcc->f", covariance).real.mean() / array.channels
    factors = np.linalg.cholesky(covariance / power + 1e-6 * np.eye(array.channels))
    return torch.from_numpy(factors.transpose(1, 2, 0).astype(np.complex64))


def diffuse_factors(array: Array, bins: int) -> torch.Tensor:
    """(channels, channels, bins) complex, at frequencies evenly up to half the rate: lower factors L of the covariance
    L L^H of the channels in a diffuse field, of mean power 1."""
    factors, place = _factors(array), torch.linspace(0, GRID - 1, bins)
    low = place.long().clamp_max(GRID - 2)
    part = place - low
    return factors[..., low] * (1 - part) + factors[..., low + 1] * part
