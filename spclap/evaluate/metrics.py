"""Ranks and choices. Pure functions of numpy arrays."""

import numpy as np


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
