"""Metrics against brute force."""

import random

import numpy as np
import pytest

from spclap.evaluate.metrics import bootstrap, choose, paired_difference, ranks


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


def test_interval_matches_the_binomial_and_covers():
    rng = np.random.default_rng(2)
    value, low, high = bootstrap(rng.random(400) < 0.7, n_boot=2000)
    half = 1.96 * np.sqrt(value * (1 - value) / 400)
    assert (high - low) / 2 == pytest.approx(half, rel=0.1)
    covered = 0
    for seed in range(200):
        _, low, high = bootstrap(np.random.default_rng(seed).random(100) < 0.6, n_boot=300)
        covered += low <= 0.6 <= high
    assert 0.9 <= covered / 200 <= 0.99


def test_paired_difference_is_narrower_than_unpaired_for_models_that_agree():
    rng = np.random.default_rng(3)
    base = rng.random(500) < 0.6
    better = base | (rng.random(500) < 0.05)
    difference, low, high = paired_difference(better, base)
    assert difference == pytest.approx(better.mean() - base.mean())
    assert 0 < low < difference < high
    _, base_low, base_high = bootstrap(base)
    assert high - low < (base_high - base_low) / 2


def test_paired_difference_against_brute_force_resampling():
    rng = np.random.default_rng(7)
    first, second = rng.random(80) < 0.7, rng.random(80) < 0.5
    draw = random.Random(0)
    differences = []
    for _ in range(3000):
        items = [draw.randrange(80) for _ in range(80)]
        differences.append(sum(int(first[i]) - int(second[i]) for i in items) / 80)
    differences.sort()
    value, low, high = paired_difference(first, second, n_boot=3000)
    assert value == pytest.approx((sum(first) - sum(second)) / 80)
    assert low == pytest.approx(differences[75], abs=0.015)
    assert high == pytest.approx(differences[-76], abs=0.015)
    back = paired_difference(second, first, n_boot=3000)
    np.testing.assert_allclose(back, [-value, -high, -low], atol=1e-12)


def test_intervals_repeat_with_the_seed_and_widen_with_the_level():
    values = np.random.default_rng(8).random(50)
    assert bootstrap(values) == bootstrap(values) != bootstrap(values, seed=1)
    _, low, high = bootstrap(values, level=0.95)
    _, lower, higher = bootstrap(values, level=0.99)
    assert lower < low < high < higher
    assert bootstrap(np.ones(5)) == (1, 1, 1)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(0,\)"):
        bootstrap(np.array([]))
    with pytest.raises(ValueError, match="item 1 "):
        bootstrap(np.array([1.0, np.nan, 0.0]))
    with pytest.raises(ValueError, match="differ"):
        paired_difference(np.ones(3), np.ones(4))
