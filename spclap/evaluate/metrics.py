"""Ranks, choices and bootstrap intervals. Pure functions of numpy arrays."""

import numpy as np


def ranks(similarity: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Rank of each query's target among the gallery, 0 = best; ties and NaN count against the model.

    Args: similarity (Q, G); target (Q,) column of the right answer. Returns (Q,) int.
    """
    right = similarity[np.arange(len(similarity)), target]
    return (~(similarity < right[:, None])).sum(axis=1) - 1  # not `>=`, which NaN would always win


def choose(scores: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(N, K), (N,) -> (N,) bool: the target has the highest score, alone."""
    return ranks(scores, target) == 0


def _means(values: np.ndarray, n_boot: int, seed: int) -> np.ndarray:
    """(n_boot,) means of samples of `values` (N,) drawn with replacement."""
    rng = np.random.default_rng(seed)
    return np.array([values[rng.integers(len(values), size=len(values))].mean() for _ in range(n_boot)])


def bootstrap(values: np.ndarray, n_boot: int = 2000, seed: int = 0, level: float = 0.95) -> tuple[float, float, float]:
    """Mean of values (N,) with a percentile bootstrap interval over items: (mean, low, high).

    ValueError for an array that is empty, not one-dimensional or not finite.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(f"bootstrap needs one value per item, got an array of shape {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"bootstrap needs finite values, item {int(np.argmin(np.isfinite(values)))} is not")
    low, high = np.quantile(_means(values, n_boot, seed), [(1 - level) / 2, (1 + level) / 2])
    return float(values.mean()), float(low), float(high)


def shown(value: float, low: float, high: float, digits: int = 1) -> str:
    """A figure with its interval, as tables show it."""
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def paired_difference(
    first: np.ndarray, second: np.ndarray, n_boot: int = 2000, seed: int = 0, level: float = 0.95
) -> tuple[float, float, float]:
    """Mean of first - second over the same items, with interval: (difference, low, high).

    ValueError when the arrays differ in shape.
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if first.shape != second.shape:
        raise ValueError(f"paired values differ in shape: {first.shape} and {second.shape}")
    return bootstrap(first - second, n_boot, seed, level)
