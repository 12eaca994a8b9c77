"""Ranks and choices. Pure functions of numpy arrays."""

import numpy as np

from spclap.errors import DataError


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


def require_finite(vectors: np.ndarray, what: str) -> np.ndarray:
    """The vectors; DataError when one is not finite: it would score 0 as if the model were bad."""
    if not np.isfinite(vectors).all():
        row = int(np.argwhere(~np.isfinite(vectors))[0, 0])
        raise DataError(f"{what} vector {row} of {len(vectors)} is not finite; the model's weights are damaged")
    return vectors


def of_unit(vectors: np.ndarray, count: int, what: str) -> np.ndarray:
    """`count` vectors of unit length; DataError for another number, and for one that is not finite or zero."""
    vectors = np.asarray(vectors)
    if vectors.ndim != 2 or len(vectors) != count:
        raise DataError(f"{what} vectors are of shape {vectors.shape}, expected ({count}, D)")
    lengths = np.linalg.norm(require_finite(vectors, what), axis=1, keepdims=True)
    if not lengths.all():
        raise DataError(f"{what} vector {int(lengths.argmin())} of {count} is zero; it has no direction to compare")
    return vectors / lengths
