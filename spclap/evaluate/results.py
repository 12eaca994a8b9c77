"""From outcomes per scene to the rows of results.json, with intervals, paired differences and pooled seeds."""

import fnmatch
import json
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spclap.data.datadir import atomic_path, atomic_write_text
from spclap.data.lock import Lock
from spclap.errors import DataError
from spclap.evaluate.metrics import bootstrap, paired_difference

Values = dict[str, np.ndarray]  # metric -> value of each scene


@dataclass(frozen=True)
class ScoreConf:
    """conf/score.yaml."""

    bootstrap: int  # resamplings
    pairs: list[list[str]]  # tags whose difference is reported, first minus second; the first may be a pattern, scl_*

    def __post_init__(self):
        if self.bootstrap < 1:
            raise ValueError(f"bootstrap is {self.bootstrap}; it must be 1 or more")
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


def model_rows(tag: str, values: Values, common: dict, conf: ScoreConf) -> list[dict]:
    """One row per metric of a model; `common` holds corpus and seed."""
    rows = []
    for metric, scenes in values.items():
        value, low, high = bootstrap(scenes, n_boot=conf.bootstrap)
        rows.append(dict(tag=tag, metric=metric, value=value, low=low, high=high, n=len(scenes), **common))
    return rows


def pairs_of(tags: Iterable[str], wanted: list[list[str]]) -> list[tuple[str, str]]:
    """Pairs of these tags whose difference is to be reported; `wanted` are pairs of a config."""
    tags = sorted(tags)
    pairs = [(tag, second) for first, second in wanted for tag in fnmatch.filter(tags, first) if second in tags]
    return [(first, second) for first, second in dict.fromkeys(pairs) if first != second]


def difference_rows(models: dict[str, Values], pairs: list[tuple], common: dict, conf: ScoreConf) -> list[dict]:
    """Rows of paired differences, tagged `first-second`, of models that were scored on the same scenes."""
    rows = []
    for first, second in pairs:
        for metric in sorted(models[first].keys() & models[second].keys()):
            a, b = models[first][metric], models[second][metric]
            if len(a) != len(b):  # SELD leaves out scenes of labels that it has no class for
                logging.warning("%s-%s: %s has %d and %d scenes, no difference", first, second, metric, len(a), len(b))
                continue
            value, low, high = paired_difference(a, b, n_boot=conf.bootstrap)
            row = dict(tag=f"{first}-{second}", metric=metric, value=value, low=low, high=high, n=len(a))
            rows.append({**row, **common})
    return rows


def save_values(folder: Path, values: Values, scenes: str) -> None:
    """outcomes.npz of a model: what pooling needs; `scenes` is the digest of the scenes that were scored."""
    with atomic_path(folder / "outcomes.npz") as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, scenes=np.array(scenes), **values)


def load_values(folder: Path) -> tuple[Values, str]:
    """What `save_values` wrote: values and the digest of the scenes."""
    with np.load(folder / "outcomes.npz") as stored:
        values = dict(stored)
    return values, str(values.pop("scenes", ""))


def kept_results(models: Path, scenes: str) -> tuple[dict[str, Values], list[dict]]:
    """Tag -> values, and the rows, of models scored on these scenes whose weights are not there any more."""
    values, rows = {}, []
    for path in sorted(models.glob("*/outcomes.npz")):
        if (path.parent / "done.json").exists() or ".old" in path.parent.name:
            continue
        found, scored = load_values(path.parent)
        if scored == scenes:
            values[path.parent.name] = found
            rows += json.loads((path.parent / "scores.json").read_text(encoding="utf-8"))["results"]
    return values, rows


def _values_of_seeds(corpus_folder: Path, scenes: str) -> dict[int, dict[str, Values]]:
    """Seed -> tag -> values of all models scored on these scenes."""
    seeds: dict[int, dict[str, Values]] = {}
    for path in sorted(corpus_folder.glob("seed*/*/outcomes.npz")):
        seed = re.fullmatch(r"seed(\d+)", path.parts[-3])
        if seed is None or ".old" in path.parent.name:
            continue
        values, scored = load_values(path.parent)
        if scored == scenes:
            seeds.setdefault(int(seed[1]), {})[path.parts[-2]] = values
        else:
            logging.warning("%s: scored on other scenes, not pooled; run stage 5 with --seed %s", path.parent, seed[1])
    return seeds


def pooled_rows(corpus_folder: Path, corpus: str, scenes: str, conf: ScoreConf) -> list[dict]:
    """Rows over seeds (seed = "0+1+2") of what was scored with two or more on the scenes of that digest.

    A model is pooled over all its seeds, a difference over those that both models have. Every scene counts once, with
    its mean over seeds, so the interval is over scenes.
    """
    models = _values_of_seeds(corpus_folder, scenes)
    seeds = {
        tag: frozenset(seed for seed in models if tag in models[seed]) for values in models.values() for tag in values
    }
    pairs = pairs_of(seeds, conf.pairs)
    both = {pair: seeds[pair[0]] & seeds[pair[1]] for pair in pairs}
    rows = []
    for chosen in sorted({*seeds.values(), *both.values()}, key=sorted):
        if len(chosen) < 2:
            continue
        common = {"corpus": corpus, "seed": "+".join(map(str, sorted(chosen)))}
        pooled = {tag: mean_over_seeds([models[seed][tag] for seed in chosen]) for tag in seeds if chosen <= seeds[tag]}
        own = [tag for tag in pooled if seeds[tag] == chosen]
        rows += [row for tag in own for row in model_rows(tag, pooled[tag], common, conf)]
        rows += difference_rows(pooled, [pair for pair in pairs if both[pair] == chosen], common, conf)
    return rows


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
