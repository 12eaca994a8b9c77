"""From outcomes per scene to the rows of results.json, with intervals, paired differences and pooled seeds."""

import fnmatch
import json
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from spclap.data.files import atomic_path, atomic_write_text
from spclap.data.lock import Lock
from spclap.data.stamp import digest
from spclap.errors import DataError
from spclap.evaluate.intervals import Clusters
from spclap.scene.conf import CLEAN

Values = dict[str, np.ndarray]  # metric -> value of each scene, NaN where a scene has none


@dataclass(frozen=True)
class ScoreConf:
    """conf/score.yaml."""

    pairs: list[list[str]]  # tags whose difference is reported, first minus second; the first may be a pattern, scl_*

    def __post_init__(self):
        check_pairs(self.pairs)


def check_pairs(pairs: list) -> None:
    """ValueError unless all pairs of a config are pairs."""
    if wrong := [pair for pair in pairs if not (isinstance(pair, list) and len(pair) == 2)]:
        raise ValueError(f"pairs has {wrong[0]!r}; write [first, second]")


def figures(outcomes: dict[str, np.ndarray]) -> Values:
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
    """What a metric of fixed scenes ends in, `2src` or `2src_real`."""
    return f"{n_sources}src" if sounds == CLEAN else f"{n_sources}src_{sounds}"


def set_of(metric: str) -> str:
    """The `set_name` in a metric such as `r1_a2t_2src`."""
    return re.search(r"_(\d+src(_\w+)?)$", metric)[1]


@dataclass(frozen=True)
class FixedSet:
    """Name of a set of fixed test scenes -> the recordings that each scene is made of."""

    recordings: dict[str, list[tuple[str, ...]]]

    @cached_property
    def clusters(self) -> dict[str, Clusters]:
        return {name: Clusters(recordings) for name, recordings in self.recordings.items()}

    def row(self, tag: str, metric: str, values: np.ndarray, common: dict) -> dict:
        """A figure of a model with its interval; `common` holds corpus and seed."""
        whole = None if metric.startswith("meanrank") else 100.0
        return self._row(tag, metric, values, self.clusters[set_of(metric)].mean(values, whole), common)

    def rows(self, tag: str, values: Values, common: dict) -> list[dict]:
        """One row per metric of a model."""
        return [self.row(tag, metric, scenes, common) for metric, scenes in values.items()]

    def difference_rows(self, models: dict[str, Values], pairs: list[tuple], common: dict) -> list[dict]:
        """Rows of paired differences, tagged `first-second`, of models that were scored on these scenes."""
        rows = []
        for first, second in pairs:
            for metric in sorted(models[first].keys() & models[second].keys()):
                a, b = models[first][metric], models[second][metric]
                if np.isnan(a - b).all():
                    continue
                interval = self.clusters[set_of(metric)].difference(a, b)
                rows.append(self._row(f"{first}-{second}", metric, a - b, interval, common))
        return rows

    def _row(self, tag: str, metric: str, values: np.ndarray, interval: tuple, common: dict) -> dict:
        clips = self.clusters[set_of(metric)].count
        n = int(np.isfinite(values).sum())
        return dict(
            zip(("value", "low", "high"), interval, strict=True), tag=tag, metric=metric, n=n, clips=clips, **common
        )


def pairs_of(tags: Iterable[str], wanted: list[list[str]]) -> list[tuple[str, str]]:
    """Pairs of these tags whose difference is to be reported; `wanted` are pairs of a config."""
    tags = sorted(tags)
    pairs = [(tag, second) for first, second in wanted for tag in fnmatch.filter(tags, first) if second in tags]
    return [(first, second) for first, second in dict.fromkeys(pairs) if first != second]


def read_scored(path: Path) -> dict:
    """What scores.json of a model says, nothing if there is none or, with a warning, a damaged one."""
    if not path.is_file():
        return {}
    try:
        if isinstance(about := json.loads(path.read_text(encoding="utf-8")), dict):
            return about
        logging.warning("%s: damaged (no object), so it counts no more", path)
    except (OSError, ValueError) as error:
        logging.warning("%s: damaged (%s), so it counts no more", path, error)
    return {}


def save_values(folder: Path, values: Values, scenes: str) -> None:
    """outcomes.npz of a model: what pooling needs; `scenes` is the digest of the scenes that were scored."""
    with atomic_path(folder / "outcomes.npz") as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, scenes=np.array(scenes), **values)


def load_values(folder: Path) -> tuple[Values, str]:
    """What `save_values` wrote: values and the digest of the scenes. DataError for a file that is not the one of which
    scores.json beside it holds the digest."""
    path, about = folder / "outcomes.npz", folder / "scores.json"
    try:
        known = json.loads(about.read_text(encoding="utf-8"))["outcomes"]
        if not path.is_file() or digest(path) != known:
            raise DataError(f"{path}: missing or changed since it was scored; delete {about} and run stage 5 again")
        with np.load(path) as stored:
            values = dict(stored)
        return values, str(values.pop("scenes"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{about}: cannot be used: {type(error).__name__}: {error}; delete it and run stage 5"
        ) from error


def kept_values(models: Path, scenes: str) -> dict[str, Values]:
    """Tag -> values of models scored on these scenes whose weights are not there any more."""
    values = {}
    for path in sorted(models.glob("*/scores.json")):
        if (path.parent / "done.json").exists() or ".old" in path.parent.name:
            continue
        found, scored = load_values(path.parent)
        if scored == scenes:
            values[path.parent.name] = found
        else:
            logging.warning("%s: scored on other scenes, left out", path.parent)
    return values


def _values_of_seeds(corpus_folder: Path, scenes: str) -> dict[int, dict[str, Values]]:
    """Seed -> tag -> values of all models scored on these scenes."""
    seeds: dict[int, dict[str, Values]] = {}
    for path in sorted(corpus_folder.glob("seed*/*/scores.json")):
        seed = re.fullmatch(r"seed(\d+)", path.parts[-3])
        if seed is None or ".old" in path.parent.name:
            continue
        values, scored = load_values(path.parent)
        if scored == scenes:
            seeds.setdefault(int(seed[1]), {})[path.parts[-2]] = values
        else:
            logging.warning("%s: scored on other scenes, not pooled; run stage 5 with --seed %s", path.parent, seed[1])
    return seeds


def pooled_rows(
    corpus_folder: Path, corpus: str, digest_of_scenes: str, test: FixedSet, wanted: list[list[str]]
) -> list[dict]:
    """Rows over seeds (seed = "0+1+2") of what was scored with two or more on the scenes of that digest.

    A model is pooled over all its seeds, a difference over those that both models have. Every scene counts once, with
    its mean over seeds, so the interval is over recordings; `seed_sd` says what a seed adds: the standard deviation of
    the figure over seeds.
    """
    models = _values_of_seeds(corpus_folder, digest_of_scenes)
    seeds = {
        tag: frozenset(seed for seed in models if tag in models[seed]) for values in models.values() for tag in values
    }
    pairs = pairs_of(seeds, wanted)
    both = {pair: seeds[pair[0]] & seeds[pair[1]] for pair in pairs}
    rows = []
    for chosen in sorted({*seeds.values(), *both.values()}, key=sorted):
        if len(chosen) < 2:
            continue
        common = {"corpus": corpus, "seed": "+".join(map(str, sorted(chosen)))}
        of_seeds = {tag: [models[seed][tag] for seed in sorted(chosen)] for tag in seeds if chosen <= seeds[tag]}
        pooled = {tag: mean_over_seeds(found) for tag, found in of_seeds.items()}
        own = [row for tag in pooled if seeds[tag] == chosen for row in test.rows(tag, pooled[tag], common)]
        own += test.difference_rows(pooled, [pair for pair in pairs if both[pair] == chosen], common)
        rows += [{**row, "seed_sd": _spread(row, of_seeds)} for row in own]
    return rows


def _spread(row: dict, models: dict[str, list[Values]]) -> float:
    """Standard deviation over seeds of a figure or a difference."""
    first, *second = ([values[row["metric"]] for values in models[tag]] for tag in row["tag"].split("-"))
    figures = (
        [np.nanmean(a - b) for a, b in zip(first, *second, strict=True)] if second else list(map(np.nanmean, first))
    )
    return float(np.std(figures, ddof=1))


def mean_over_seeds(seeds: list[Values]) -> Values:
    """Each metric's mean of every scene."""
    return {metric: np.mean([values[metric] for values in seeds], axis=0) for metric in seeds[0]}


def merge_results(path: Path, rows: list[dict]) -> None:
    """Put rows into the list of all results, in place of those of the same corpus and seed and of its pooled ones."""
    corpora, replaced = {row["corpus"] for row in rows}, {(row["corpus"], row["seed"]) for row in rows}
    with Lock(path.with_name(f".{path.name}.lock"), path, wait=True):  # another seed may be scored at the same time
        kept = [
            row
            for row in read_results(path)
            if (row["corpus"], row["seed"]) not in replaced
            and not (row["corpus"] in corpora and isinstance(row["seed"], str))
        ]
        atomic_write_text(path, json.dumps(kept + rows, indent=1) + "\n")


def read_results(path: Path) -> list[dict]:
    """Rows that `merge_results` wrote, none if there is no file; DataError for a damaged one."""
    if not path.exists():
        return []
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(rows, list):
            raise TypeError(f"a {type(rows).__name__}")
        [(row["corpus"], row["seed"]) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a list of results ({error}); move it away and rerun stage 5") from error
    return rows
