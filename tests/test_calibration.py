"""Temperature and calibration error against loops and a grid."""

import math

import numpy as np
import pytest

from spclap.errors import DataError
from spclap.evaluate.calibration import calibration_error, fit_temperature


def draw(temperature: float, count: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and true directions that are drawn with the probabilities that `temperature` makes of them."""
    rng = np.random.default_rng(seed)
    cosines = rng.uniform(-1, 1, (count, 5))
    weights = np.exp(cosines / temperature)
    drawn = rng.random((count, 1)) * weights.sum(axis=1, keepdims=True)
    return cosines, (weights.cumsum(axis=1) < drawn).sum(axis=1)


def loss(cosines, truth, temperature: float) -> float:
    total = 0.0
    for row, true in zip(cosines, truth, strict=True):
        total -= row[true] / temperature - math.log(sum(math.exp(c / temperature) for c in row))
    return total / len(truth)


@pytest.mark.parametrize("temperature", [0.05, 0.3, 2.0])
def test_the_temperature_of_draws_is_found(temperature):
    cosines, truth = draw(temperature)
    found = fit_temperature(cosines, truth)
    assert found == pytest.approx(temperature, rel=0.1)
    few, some = cosines[:300], truth[:300]
    own = fit_temperature(few, some)
    assert loss(few, some, own) <= min(loss(few, some, own * factor) for factor in (0.9, 0.97, 1.03, 1.1))


def test_the_error_is_that_of_a_loop_over_bins():
    cosines, truth = draw(0.3, 500)
    for temperature in (0.1, 0.3, 1.0):
        bins = {}
        for row, true in zip(cosines, truth, strict=True):
            weights = [math.exp(c / temperature) for c in row]
            sure = max(weights) / sum(weights)
            bins.setdefault(min(int(sure * 15), 14), []).append((sure, int(np.argmax(row) == true)))
        expected = 0.0
        for rows in bins.values():
            sure, right = np.mean(rows, axis=0)
            expected += len(rows) / 500 * abs(sure - right)
        assert calibration_error(cosines, truth, temperature) == pytest.approx(expected, abs=1e-9)


def test_what_means_what_it_says_has_no_error():
    cosines, truth = draw(0.3, 20000)
    assert calibration_error(cosines, truth, 0.3) < 0.02 < 0.1 < calibration_error(cosines, truth, 0.1)
    sure = np.eye(5)[[0, 1, 2]]
    assert calibration_error(sure, np.array([0, 1, 2]), 0.01) < 1e-9
    assert calibration_error(sure, np.array([1, 2, 3]), 0.01) == pytest.approx(1)


@pytest.mark.parametrize(
    ("cosines", "truth"),
    [
        (np.zeros((0, 5)), np.zeros(0, int)),
        (np.zeros((2, 5)), np.zeros(3, int)),
        (np.zeros(5), np.zeros(5, int)),
        (np.zeros((2, 5)), np.array([0, 5])),
        (np.zeros((2, 5)), np.array([0, -1])),
        (np.full((2, 5), np.nan), np.array([0, 1])),
    ],
)
def test_what_does_not_fit_is_refused(cosines, truth):
    for call in (lambda: fit_temperature(cosines, truth), lambda: calibration_error(cosines, truth, 1.0)):
        with pytest.raises(DataError, match="do not fit"):
            call()
