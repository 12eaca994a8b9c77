"""Metrics against brute force."""

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
    np.testing.assert_array_equal(ranks(similarity, target), expected)


def test_constant_scores_never_win():
    assert not choose(np.ones((3, 2)), np.array([0, 1, 0])).any()
    np.testing.assert_array_equal(ranks(np.ones((2, 5)), np.array([0, 4])), [4, 4])


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


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(0,\)"):
        bootstrap(np.array([]))
    with pytest.raises(ValueError, match="differ"):
        paired_difference(np.ones(3), np.ones(4))
