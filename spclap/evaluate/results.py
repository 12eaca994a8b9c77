"""From outcomes per scene to the rows of results.json, with intervals, paired differences and pooled seeds."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spclap.data.datadir import atomic_path, atomic_write_text
from spclap.evaluate.metrics import bootstrap, paired_difference

Values = dict[str, np.ndarray]  # metric -> value of each scene


@dataclass(frozen=True)
class ScoreConf:
    """conf/score.yaml."""

    bootstrap: int  # resamplings
    pairs: list[list[str]]  # tags whose difference is reported, first minus second


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


def difference_rows(models: dict[str, Values], common: dict, conf: ScoreConf) -> list[dict]:
    """Rows of paired differences, tagged `first-second`, for models that were scored on the same scenes."""
    rows = []
    for first, second in conf.pairs:
        if not {first, second} <= models.keys():
            continue
        for metric in sorted(models[first].keys() & models[second].keys()):
            a, b = models[first][metric], models[second][metric]
            value, low, high = paired_difference(a, b, n_boot=conf.bootstrap)
            row = dict(tag=f"{first}-{second}", metric=metric, value=value, low=low, high=high, n=len(a))
            rows.append({**row, **common})
    return rows


def save_values(folder: Path, values: Values) -> None:
    """outcomes.npz of a model: what pairing and pooling need."""
    with atomic_path(folder / "outcomes.npz") as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **values)


def pooled_rows(corpus_folder: Path, corpus: str, conf: ScoreConf) -> list[dict]:
    """Rows over all seeds scored so far (seed = "0+1+2"), none for a single seed.

    Every scene counts once, with its mean over seeds, so the interval is over scenes.
    """
    seeds: dict[int, dict[str, Values]] = {}
    for path in sorted(corpus_folder.glob("seed*/*/outcomes.npz")):
        if ".old" not in path.parent.name:
            with np.load(path) as stored:
                seeds.setdefault(int(path.parts[-3].removeprefix("seed")), {})[path.parts[-2]] = dict(stored)
    if len(seeds) < 2:
        return []
    common = {"corpus": corpus, "seed": "+".join(map(str, sorted(seeds)))}
    tags = [tag for tag in next(iter(seeds.values())) if all(tag in models for models in seeds.values())]
    pooled = {
        tag: {
            metric: np.mean([models[tag][metric] for models in seeds.values()], axis=0)
            for metric in next(iter(seeds.values()))[tag]
        }
        for tag in tags
    }
    rows = [row for tag, values in pooled.items() for row in model_rows(tag, values, common, conf)]
    return rows + difference_rows(pooled, common, conf)


def merge_results(path: Path, rows: list[dict]) -> None:
    """Put rows into the list of all results, in place of those of the same corpus and seed and of its pooled ones."""
    old = json.loads(path.read_text()) if path.is_file() else []
    corpora, replaced = {row["corpus"] for row in rows}, {(row["corpus"], row["seed"]) for row in rows}
    kept = [
        row
        for row in old
        if (row["corpus"], row["seed"]) not in replaced
        and not (row["corpus"] in corpora and isinstance(row["seed"], str))
    ]
    atomic_write_text(path, json.dumps(kept + rows, indent=1) + "\n")
