"""From the outcome of each scene to figures with intervals, paired differences and pooled seeds."""

import fnmatch
import re
from collections.abc import Iterable, Sequence

import numpy as np

from spclap.evaluate.intervals import Clusters
from spclap.scene.conf import CLEAN

Outcomes = dict[str, np.ndarray]  # metric, as `assignment_2src` -> bool of each scene, or rank for `rank_*`
Values = dict[str, np.ndarray]  # metric -> value of each scene, NaN where a scene has none


def figures(outcomes: Outcomes) -> Values:
    """Values per scene in percent; ranks become R@1, R@5, R@10 and the mean rank, which counts from 1."""
    out = {}
    for name, values in outcomes.items():
        if name.startswith("rank_"):
            what = name.removeprefix("rank_")
            out.update({f"r{k}_{what}": 100.0 * (values < k) for k in (1, 5, 10)})
            out[f"meanrank_{what}"] = values + 1.0
        else:
            out[name] = 100.0 * values
    return out


def set_name(n_sources: int, sounds: str = CLEAN) -> str:
    """What a metric of a set of scenes ends in, `2src` or `2src_real`."""
    return f"{n_sources}src" if sounds == CLEAN else f"{n_sources}src_{sounds}"


def set_of(metric: str) -> str:
    """The `set_name` in a metric such as `r1_a2t_2src`."""
    return re.search(r"_(\d+src(_\w+)?)$", metric)[1]


class Figures:
    """What is said of sets of scenes.

    Args: recordings, `set_name` -> what each scene of the set is made of.
    """

    def __init__(self, recordings: dict[str, Sequence[tuple[str, ...]]]):
        self.clusters = {name: Clusters(own) for name, own in recordings.items()}

    def figure(self, metric: str, values: np.ndarray, other: np.ndarray | None = None) -> dict:
        """Value with its interval, `n` scenes and the `clips` that they are made of; of a metric, or of its difference
        from another model's."""
        clusters = self.clusters[set_of(metric)]
        whole = None if metric.startswith("meanrank") else 100.0
        interval = clusters.mean(values, whole) if other is None else clusters.difference(values, other)
        known = clusters.known(values if other is None else values - other)
        sizes = {"n": len(known.recordings), "clips": known.count}
        return {**dict(zip(("value", "low", "high"), interval, strict=True)), **sizes}

    def of(self, values: Values) -> dict[str, dict]:
        """Metric -> figure."""
        return {metric: self.figure(metric, scenes) for metric, scenes in values.items()}

    def differences(self, first: Values, second: Values) -> dict[str, dict]:
        """Metric -> paired difference, of those that both have, on some scenes at least."""
        both = sorted(first.keys() & second.keys())
        some = [metric for metric in both if not np.isnan(first[metric] - second[metric]).all()]
        return {metric: self.figure(metric, first[metric], second[metric]) for metric in some}

    def compared(self, models: dict[str, Values], pairs: Iterable[tuple[str, str]]) -> dict[str, dict[str, dict]]:
        """`first-second` -> metric -> paired difference."""
        return {f"{first}-{second}": self.differences(models[first], models[second]) for first, second in pairs}


def rows_of(found: dict[str, dict[str, dict]], common: dict) -> list[dict]:
    """Rows of results.json: of models and differences, metric -> figure; common, such as corpus and seed."""
    return [
        {**one, "tag": tag, "metric": metric, **common} for tag, own in found.items() for metric, one in own.items()
    ]


def check_pairs(pairs: list) -> None:
    """ValueError unless all pairs of a config are pairs."""
    if wrong := [pair for pair in pairs if not (isinstance(pair, list) and len(pair) == 2)]:
        raise ValueError(f"pairs has {wrong[0]!r}; write [first, second]")


def pairs_of(tags: Iterable[str], wanted: list[list[str]]) -> list[tuple[str, str]]:
    """Pairs of these tags whose difference is to be reported; `wanted` are pairs of a config."""
    tags = sorted(tags)
    pairs = [(tag, second) for first, second in wanted for tag in fnmatch.filter(tags, first) if second in tags]
    return [(first, second) for first, second in dict.fromkeys(pairs) if first != second]


def mean_over_seeds(seeds: list[Values]) -> Values:
    """Mean of every scene, of each metric that all have."""
    common = [metric for metric in seeds[0] if all(metric in values for values in seeds)]
    return {metric: np.mean([values[metric] for values in seeds], axis=0) for metric in common}


def pooled_rows(
    seeds: dict[int, dict[str, Values]], test: Figures, wanted: list[list[str]], corpus: str
) -> list[dict]:  # fmt: skip
    """Rows over seeds (seed = "0+1+2") of what was scored with two or more; seeds, seed -> tag -> values.

    A model is pooled over all its seeds, a difference over those that both models have. Every scene counts once, with
    its mean over seeds, so the interval is over recordings; `seed_sd` says what a seed adds: the standard deviation of
    the figure over seeds.
    """
    of = {tag: frozenset(seed for seed in seeds if tag in seeds[seed]) for found in seeds.values() for tag in found}
    pairs = pairs_of(of, wanted)
    both = {pair: of[pair[0]] & of[pair[1]] for pair in pairs}
    rows = []
    for chosen in sorted({*of.values(), *both.values()}, key=sorted):
        if len(chosen) < 2:
            continue
        models = {tag: [seeds[seed][tag] for seed in sorted(chosen)] for tag in of if chosen <= of[tag]}
        pooled = {tag: mean_over_seeds(found) for tag, found in models.items()}
        common = {"corpus": corpus, "seed": "+".join(map(str, sorted(chosen)))}
        found = {tag: test.of(pooled[tag]) for tag in pooled if of[tag] == chosen}
        found |= test.compared(pooled, [pair for pair in pairs if both[pair] == chosen])
        rows += [{**row, "seed_sd": _spread(row, models)} for row in rows_of(found, common)]
    return rows


def _spread(row: dict, models: dict[str, list[Values]]) -> float:
    """Standard deviation over seeds of a figure or a difference."""
    first, *second = ([values[row["metric"]] for values in models[tag]] for tag in row["tag"].split("-"))
    found = [np.nanmean(a - b) for a, b in zip(first, *second, strict=True)] if second else list(map(np.nanmean, first))
    return float(np.std(found, ddof=1))
