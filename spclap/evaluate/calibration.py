"""Probabilities of directions that mean what they say: a temperature fitted on scenes, and how far off they are."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from spclap.errors import DataError

TEMPERATURES = (1e-3, 1e1)  # between which one is sought
BINS = 15


def fit_temperature(cosines: np.ndarray, truth: np.ndarray) -> float:
    """The temperature by which cosines (n, directions) are divided so that the softmax finds the true directions (n,)
    likeliest: least mean negative log likelihood. DataError for nothing, and for what does not fit together."""
    cosines, truth = _checked(cosines, truth)

    def loss(log_temperature: float) -> float:
        return -log_softmax(cosines / np.exp(log_temperature), axis=1)[np.arange(len(truth)), truth].mean()

    return float(np.exp(minimize_scalar(loss, bounds=tuple(np.log(TEMPERATURES)), method="bounded").x))


def calibration_error(cosines: np.ndarray, truth: np.ndarray, temperature: float) -> float:
    """Expected calibration error, 0 to 1: over BINS equal bins of the probability of the likeliest direction, how far
    that is on average from how often it is right, weighted by how many are in a bin."""
    cosines, truth = _checked(cosines, truth)
    probabilities = softmax(cosines / temperature, axis=1)
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, sure - right, BINS)  # sums, so that weights and means cancel
    return float(np.abs(gaps).sum() / len(truth))


def _checked(cosines: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    cosines, truth = np.asarray(cosines, dtype=float), np.asarray(truth)
    fitting = cosines.ndim == 2 and truth.shape == cosines.shape[:1] and len(truth)
    if not fitting or not np.isfinite(cosines).all() or not np.isin(truth, np.arange(cosines.shape[1])).all():
        raise DataError(
            f"cosines {cosines.shape} and truth {truth.shape} do not fit: finite numbers (n, directions), the true "
            "one of each, and at least one"
        )
    return cosines, truth
