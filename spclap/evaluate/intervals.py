"""95% intervals over recordings, not over the scenes that were made of them.

A thousand scenes of 54 clips are no thousand independent observations: scenes that share a recording hang together. The
variance of a mean sums the products of deviations over all pairs of scenes with a common recording (Fafchamps and
Gubert 2007; Aronow, Samii and Assenova 2015), and t has as many degrees of freedom as there are recordings of equal
weight (Satterthwaite). A share is taken to the logit scale, so that its interval stays
within 0 and 100%. `benchmarks/coverage.py` measures how often such intervals hold the truth.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import sparse, stats

Statistic = Callable[[np.ndarray], float]  # of values (N, ...)
Interval = tuple[float, float, float]  # value, low, high
LEVEL = 0.95


class Clusters:
    """Values that hang together where they were made of the same recordings.

    Args: recordings of each of N values. ValueError for none, or a value without recording.
    """

    def __init__(self, recordings: Sequence[Sequence[str]]):
        if not recordings or not all(recordings):
            raise ValueError(f"intervals need recordings of every value, got {list(recordings)[:3]}")
        names = {name: index for index, name in enumerate(sorted({name for row in recordings for name in row}))}
        cells = [(row, names[name]) for row, own in enumerate(recordings) for name in set(own)]
        rows, columns = np.array(cells).T
        member = sparse.csr_array((np.ones(len(cells)), (rows, columns)), shape=(len(recordings), len(names)))
        shared = member @ member.T  # number of recordings that two values share
        self.recordings, self.count = list(recordings), len(names)
        self.together = (shared > 0).astype(float)
        # Deviations from the mean of the values are smaller than those from the truth, by as much as they would be if
        # every recording added an effect of its own.
        ones, n = np.ones(len(recordings)), len(recordings)
        b, s = self.together @ ones, shared @ ones
        seen = self.together.multiply(shared).sum() - 2 * (b @ s) / n + b.sum() * s.sum() / n**2
        self.correction = s.sum() / seen if seen > 1e-9 * s.sum() else np.inf
        sizes = member.sum(axis=0)
        self.freedom = max((sizes**2).sum() ** 2 / (sizes**4).sum() - 1, 1)
        self.units = len(names) / (len(cells) / n)  # values that could be made without using a recording twice

    def _half_width(self, values: np.ndarray) -> float:
        """Of the interval of a mean (N,): t times the standard error."""
        deviations = (values - values.mean()) / len(values)
        variance = (
            deviations @ (self.together @ deviations) * self.correction if np.isfinite(self.correction) else np.inf
        )
        return float(stats.t.ppf((1 + LEVEL) / 2, self.freedom) * np.sqrt(max(variance, deviations @ deviations)))

    def mean(self, values: np.ndarray, whole: float | None = None) -> Interval:
        """Mean of values (N,) with its interval. With `whole` they are shares of that, within 0 and `whole`.

        NaN is no value. ValueError for another number of values than recordings, and for values that are infinite.
        """
        values = np.asarray(values, dtype=float)
        if (known := self.known(values)) is not self:
            return known.mean(values[~np.isnan(values)], whole)
        value, half = float(values.mean()), self._half_width(values)
        if whole is None:
            return value, value - half, value + half
        if value in (0, whole):
            most = whole * (1 - ((1 - LEVEL) / 2) ** (1 / self.units))  # the exact interval where all are equal
            return value, max(value - most, 0.0), min(value + most, whole)
        odds, spread = np.log(value / (whole - value)), half * whole / (value * (whole - value))
        low, high = (whole / (1 + np.exp(-np.clip(odds + d, -700, 700))) for d in (-spread, spread))
        return value, float(low), float(high)

    def difference(self, first: np.ndarray, second: np.ndarray) -> Interval:
        """Mean of first minus second, paired; NaN in one of them leaves that pair out. ValueError for other shapes."""
        first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
        if first.shape != second.shape:
            raise ValueError(f"paired values differ in shape: {first.shape} and {second.shape}")
        return self.mean(first - second)

    def statistic(self, values: np.ndarray, statistic: Statistic) -> Interval:
        """A statistic of values (N, ...), such as a score of a whole corpus, by the mean of its pseudo-values (Tukey's
        jackknife): what each value adds to it."""
        value, n = statistic(values), len(values)
        left_out = np.array([statistic(np.delete(values, index, axis=0)) for index in range(n)])
        half = self.known(left_out)._half_width(n * value - (n - 1) * left_out)
        return float(value), float(value - half), float(value + half)

    def known(self, values: np.ndarray) -> "Clusters":
        """The clusters of those of values (N,) that are not NaN."""
        if values.shape != (len(self.recordings),):
            raise ValueError(f"intervals need one value for each of {len(self.recordings)}, got shape {values.shape}")
        if np.isinf(values).any():
            raise ValueError(f"intervals need finite values, value {int(np.flatnonzero(np.isinf(values))[0])} is not")
        absent = np.isnan(values)
        return (
            Clusters([own for own, out in zip(self.recordings, absent, strict=True) if not out])
            if absent.any()
            else self
        )


def shown(value: float, low: float, high: float, digits: int = 1) -> str:
    """A figure with its interval, as tables show it."""
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
