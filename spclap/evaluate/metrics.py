"""Ranks, choices and bootstrap intervals. Pure functions of numpy arrays."""

from collections.abc import Callable

import numpy as np

Statistic = Callable[[np.ndarray], float]  # of values (N, ...)


def ranks(similarity: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Rank of each query's best right answer among the wrong ones, 0 = best; ties and NaN count against the model.

    Args: similarity (Q, G); right (Q, G) bool, one right answer or several. Returns (Q,) int. ValueError where a query
    has none.
    """
    if not right.any(axis=1).all():
        raise ValueError(f"query {int(np.argmin(right.any(axis=1)))} has no right answer")
    best = np.where(right, similarity, -np.inf).max(axis=1, keepdims=True)
    return (~right & ~(similarity < best)).sum(axis=1)  # not `>=`, which NaN would always win


def choose(scores: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(N, K), (N,) -> (N,) bool: the target has the highest score, alone."""
    return ranks(scores, np.arange(scores.shape[1]) == target[:, None]) == 0


def bootstrap(
    values: np.ndarray, n_boot: int = 2000, seed: int = 0, level: float = 0.95, statistic: Statistic | None = None
) -> tuple[float, float, float]:
    """Mean of values (N,) with a percentile bootstrap interval over items: (mean, low, high).

    `statistic` of values (N, ...) in place of the mean, such as a score of a whole corpus. ValueError for an array that
    is empty, not finite or, for the mean, not one-dimensional.
    """
    values = np.asarray(values, dtype=float)
    if values.size == 0 or (values.ndim != 1 and statistic is None):
        raise ValueError(f"bootstrap needs one value per item, got an array of shape {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"bootstrap needs finite values, item {int(np.argwhere(~np.isfinite(values))[0, 0])} is not")
    rng, statistic = np.random.default_rng(seed), statistic or np.mean
    samples = [statistic(values[rng.integers(len(values), size=len(values))]) for _ in range(n_boot)]
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return float(statistic(values)), float(low), float(high)


def shown(value: float, low: float, high: float, digits: int = 1) -> str:
    """A figure with its interval, as tables show it."""
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def paired_difference(
    first: np.ndarray,
    second: np.ndarray,
    n_boot: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    statistic: Statistic | None = None,
) -> tuple[float, float, float]:
    """Mean, or `statistic`, of first minus that of second over the same items, with interval: (difference, low, high).

    ValueError when the arrays differ in shape.
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if first.shape != second.shape:
        raise ValueError(f"paired values differ in shape: {first.shape} and {second.shape}")
    if statistic is None:
        return bootstrap(first - second, n_boot, seed, level)
    both = np.stack([first, second], axis=1)
    return bootstrap(both, n_boot, seed, level, lambda chosen: statistic(chosen[:, 0]) - statistic(chosen[:, 1]))
