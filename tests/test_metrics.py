"""Metrics against brute force."""

import numpy as np
import pytest

from spclap.evaluate.metrics import choose, ranks


def test_ranks_against_brute_force_with_ties():
    rng = np.random.default_rng(0)
    similarity = rng.integers(0, 6, size=(40, 12)).astype(float)
    target = rng.integers(0, 12, size=40)
    expected = [
        sum(1 for j in range(12) if j != target[i] and similarity[i, j] >= similarity[i, target[i]]) for i in range(40)
    ]
    np.testing.assert_array_equal(ranks(similarity, one(target, 12)), expected)


def one(target, count: int) -> np.ndarray:
    """(Q, count) bool: the one right answer of each query."""
    return np.arange(count) == np.asarray(target)[:, None]


def test_several_right_answers_against_brute_force_with_ties():
    rng = np.random.default_rng(3)
    scores, right = rng.integers(0, 9, size=(60, 12)), rng.random((60, 12)) < 0.3
    right[:, 0] = True
    expected = [
        sum(s >= max(row[ok]) for s, good in zip(row, ok, strict=True) if not good)
        for row, ok in zip(scores, right, strict=True)
    ]
    np.testing.assert_array_equal(ranks(scores, right), expected)
    assert 0 < (ranks(scores, right) == 0).mean() < 1
    with pytest.raises(ValueError, match="query 1 has no right answer"):
        ranks(scores[:2], np.array([right[0], np.zeros(12, dtype=bool)]))


def test_constant_scores_never_win():
    assert not choose(np.ones((3, 2)), np.array([0, 1, 0])).any()
    np.testing.assert_array_equal(ranks(np.ones((2, 5)), one([0, 4], 5)), [4, 4])


def test_nan_never_wins():
    similarity = np.random.default_rng(5).standard_normal((4, 6))
    target, right = np.arange(4), one(range(4), 6)
    right_is_nan = similarity.copy()
    right_is_nan[target, target] = np.nan
    np.testing.assert_array_equal(ranks(right_is_nan, right), [5, 5, 5, 5])
    np.testing.assert_array_equal(ranks(np.full((4, 6), np.nan), right), [5, 5, 5, 5])
    rival_is_nan = similarity.copy()
    rival_is_nan[:, 5] = np.nan
    expected = ranks(np.where(np.isnan(rival_is_nan), np.inf, rival_is_nan), right)
    np.testing.assert_array_equal(ranks(rival_is_nan, right), expected)
    assert not choose(right_is_nan, target).any()


def test_choose_among_permutations_against_brute_force_with_ties():
    rng = np.random.default_rng(6)
    for count in (2, 6, 24):  # permutations of 2, 3 and 4 sources
        scores = rng.integers(0, 4 * count, size=(60, count)).astype(float)
        target = rng.integers(0, count, size=60)
        expected = [all(scores[i, j] < scores[i, target[i]] for j in range(count) if j != target[i]) for i in range(60)]
        np.testing.assert_array_equal(choose(scores, target), expected)
        assert 0 < sum(expected) < 60


def test_random_scores_choose_at_chance():
    scores = np.random.default_rng(1).standard_normal((6000, 6))
    assert choose(scores, np.zeros(6000, dtype=int)).mean() == pytest.approx(1 / 6, abs=0.015)
