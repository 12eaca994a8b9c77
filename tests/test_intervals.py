"""Intervals against simulation, the textbook and brute force."""

import numpy as np
import pytest
from scipy import stats

from spclap.evaluate.intervals import Clusters


def scenes(size: int, count: int, clips: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
    return [tuple(map(str, rng.choice(clips, size, replace=False))) for _ in range(count)]


@pytest.mark.parametrize(("size", "count"), [(1, 400), (2, 1000), (3, 400)])
def test_95_percent_hold_the_truth(size, count):
    """Two models of 54 clips with effects of their own; over scenes alone far fewer intervals would.
    `benchmarks/coverage.py` does the same at length."""
    rng, held = np.random.default_rng(size), {"model": 0, "difference": 0, "scenes": 0}
    recordings = scenes(size, count, 54, rng)
    together, apart = Clusters(recordings), Clusters([(str(i),) for i in range(count)])
    member = np.array([[str(clip) in own for clip in range(54)] for own in recordings]) / np.sqrt(size)
    truth = [100 * stats.norm.cdf(threshold / np.sqrt(2)) for threshold in (1.5, 1.2)]
    for _ in range(300):
        common, *own = rng.standard_normal((3, 54)) * np.sqrt(0.5)
        first, second = (
            100.0 * (threshold + member @ (common + effect) + rng.standard_normal(count) > 0)
            for threshold, effect in zip((1.5, 1.2), own, strict=True)
        )
        for name, (_, low, high), true in (
            ("model", together.mean(first, 100), truth[0]),
            ("difference", together.difference(first, second), truth[0] - truth[1]),
            ("scenes", apart.mean(first, 100), truth[0]),
        ):
            held[name] += low <= true <= high
    assert 0.915 <= held["model"] / 300 <= 0.98 and 0.915 <= held["difference"] / 300 <= 0.98  # 95% within 3 sd
    assert held["scenes"] / 300 < 0.8


def test_variance_against_a_loop_over_pairs_of_scenes():
    rng = np.random.default_rng(1)
    recordings, values = scenes(2, 60, 20, rng), rng.random(60)
    left = values - values.mean()
    variance = sum(
        left[i] * left[j] for i in range(60) for j in range(60) if set(recordings[i]) & set(recordings[j])
    ) / 60**2  # fmt: skip
    clusters = Clusters(recordings)
    value, low, high = clusters.mean(values)
    assert value == pytest.approx(values.mean()) and value - low == pytest.approx(high - value)
    error = np.sqrt(max(variance * clusters.correction, (left**2).sum() / 60**2))
    expected = stats.t.ppf(0.975, clusters.freedom) * error
    assert high - value == pytest.approx(expected) and variance > 0


def test_clusters_of_one_size_are_the_textbooks_mean_of_means():
    rng = np.random.default_rng(2)
    values = np.repeat(rng.standard_normal(12), 5) + 0.3 * rng.standard_normal(60)
    means = values.reshape(12, 5).mean(axis=1)
    _, low, high = Clusters([(str(i // 5),) for i in range(60)]).mean(values)
    expected = stats.t.interval(0.95, 11, loc=means.mean(), scale=stats.sem(means))
    assert (low, high) == pytest.approx(expected)


def test_shares_stay_within_their_bounds_and_all_right_is_no_certainty():
    alone = Clusters([(str(i),) for i in range(100)])
    for wrong in (1, 3, 50, 97, 99):
        values = 100.0 * (np.arange(100) >= wrong)
        value, low, high = alone.mean(values, 100)
        exact = stats.binomtest(100 - wrong, 100).proportion_ci(method="wilson")
        assert 0 < low < value < high < 100
        assert (low, high) == pytest.approx((100 * exact.low, 100 * exact.high), abs=4)
    assert alone.mean(np.full(100, 100.0), 100) == pytest.approx((100, 100 * 0.025 ** (1 / 100), 100))
    assert Clusters([("a", "b"), ("b", "c"), ("a", "d")]).mean(np.zeros(3), 100)[2] == pytest.approx(
        100 - 100 * 0.025**0.5
    )
    assert Clusters([("a",), ("a",)]).mean(np.array([0.0, 100.0]), 100) == pytest.approx((50, 0, 100))  # one recording


def test_differences_are_paired():
    rng = np.random.default_rng(3)
    clusters, base = Clusters([(str(i // 4),) for i in range(400)]), rng.random(400) < 0.6
    better = base | (rng.random(400) < 0.05)
    value, low, high = clusters.difference(better, base)
    assert value == pytest.approx(better.mean() - base.mean()) and 0 < low < value < high
    _, base_low, base_high = clusters.mean(base, 1)
    assert high - low < (base_high - base_low) / 2
    assert clusters.difference(base, better) == pytest.approx((-value, -high, -low))


def test_scenes_without_a_value_are_left_out():
    rng = np.random.default_rng(4)
    recordings, values = scenes(2, 80, 30, rng), rng.random(80)
    some = rng.random(80) < 0.7
    expected = Clusters([own for own, kept in zip(recordings, some, strict=True) if kept]).mean(values[some])
    assert Clusters(recordings).mean(np.where(some, values, np.nan)) == expected


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="recordings of every value"):
        Clusters([])
    with pytest.raises(ValueError, match="recordings of every value"):
        Clusters([("a",), ()])
    clusters = Clusters([("a",), ("b",), ("c",)])
    with pytest.raises(ValueError, match="each of 3"):
        clusters.mean(np.ones(2))
    with pytest.raises(ValueError, match="value 1 is not"):
        clusters.mean(np.array([1.0, np.inf, 0.0]))
    with pytest.raises(ValueError, match="differ"):
        clusters.difference(np.ones(3), np.ones(4))
