"""What a scoring leaves: outcomes.npz with the outcome of each scene, from which every figure can be made again, and
record.json, scores.json or rows of results.json with the figures, their intervals and how they were made."""

import json
import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from spclap.data.files import atomic_path, atomic_write_text
from spclap.data.lock import Lock
from spclap.data.stamp import digest
from spclap.errors import DataError
from spclap.evaluate.benchmarks.scenes import Scored, chance, curves
from spclap.evaluate.controls import CONTROLS
from spclap.evaluate.figures import Figures, Values, figures
from spclap.evaluate.frozen import SceneSet

FORMAT = 1
SHOWS = 3.0  # points that a reader may want to see a difference of


def natural(text: str) -> float:
    """Sorts what begins with a number by it; the rest comes last, in its order."""
    found = re.match(r"[+-]?\d+(\.\d+)?", text)
    return float(found[0]) if found else float("inf")


def on_curves(test: Figures, sets: Sequence[SceneSet], scored: Scored) -> dict[str, dict[str, dict]]:
    """Curve -> point -> figure of assignment of two sources."""
    out = {"words": {way: test.figure("assignment_2src", 100.0 * right) for way, right in scored.words.items()}}
    for name, points in curves(sets).items():
        for point, rows in sorted(points.items(), key=lambda own: natural(own[0])):
            values = np.full(len(scored.outcomes["assignment_2src"]), np.nan)
            values[rows] = 100.0 * scored.outcomes["assignment_2src"][rows]
            out.setdefault(name, {})[point] = test.figure("assignment_2src", values)
    return {name: points for name, points in out.items() if points}


def warnings(models: dict[str, dict]) -> list[str]:
    """A line for each control of a model that is above chance though it is blind, or does not fall though it must."""
    lines = []
    for model, own in models.items():
        for control, found in own["controls"].items():
            for metric, figure in found.items():
                if CONTROLS[control].blind and figure["low"] > chance(metric):
                    told = f"at least {figure['low']:.1f}, chance {chance(metric):.1f}"
                    lines.append(f"{model}: {metric} of control {control} is above chance: {told}")
                plain = own["figures"][metric]
                if control == "exchanged" and plain["low"] > chance(metric) and figure["value"] >= plain["value"]:
                    lines.append(f"{model}: {metric} does not fall when the channels are exchanged")
    return lines


def scenes_that_show(figure: dict, points: float = SHOWS) -> int:
    """How many scenes of as many recordings each would show a difference of so many points to a fixed value: the width
    of an interval falls with the root of their number."""
    half = (figure["high"] - figure["low"]) / 2
    return int(np.ceil(figure["n"] * (half / points) ** 2))


def recorded(sets: Sequence[SceneSet], scored: dict[str, Scored], about: dict) -> dict:
    """All of record.json; the first model is compared with each other one."""
    test = Figures({own.name: own.recordings for own in sets})
    values = {name: figures(own.outcomes) for name, own in scored.items()}
    models = {
        name: {
            "figures": test.of(values[name]),
            "controls": {control: test.of(figures(under)) for control, under in own.controls.items()},
            "curves": on_curves(test, sets, own),
            "confusion": own.confusion,
            "ranked": own.ranked,
        }
        for name, own in scored.items()
    }
    first, *others = scored
    differences = [
        {"first": first, "second": other, "metric": metric, **figure}
        for other in others
        for metric, figure in test.differences(values[first], values[other]).items()
        if not metric.startswith("meanrank")
    ]
    sizes = [{"name": own.name, "scenes": len(own.scenes), "arrays": sorted(set(own.arrays))} for own in sets]
    return {
        "format": FORMAT, "about": about, "sets": sizes, "warnings": warnings(models), "models": models,
        "differences": differences,
    }  # fmt: skip


def write_outcomes(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    with atomic_path(folder / "outcomes.npz") as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def write_record(folder: Path, record: dict, scored: dict[str, Scored]) -> None:
    arrays = {}
    for name, own in scored.items():
        for part, found in {name: own.outcomes, f"{name}/words": own.words}.items():
            arrays |= {f"{part}/{metric}": values for metric, values in found.items()}
        for control, under in own.controls.items():
            arrays |= {f"{name}/{control}/{metric}": values for metric, values in under.items()}
    write_outcomes(folder, arrays)
    atomic_write_text(folder / "record.json", json.dumps(record, indent=1) + "\n")


def read_record(folder: Path) -> dict:
    """DataError for a folder without a record of this format."""
    path = Path(folder) / "record.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); `spclap score --out {folder}` writes it") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise DataError(f"{path}: not a record of format {FORMAT}; score again")
    return record


def keep(folder: Path, values: Values, about: dict) -> None:
    """outcomes.npz and scores.json of a model, which `kept` reads; about, `scenes` and `protocol` among others."""
    write_outcomes(folder, values)
    content = {**about, "outcomes": digest(folder / "outcomes.npz")}
    atomic_write_text(folder / "scores.json", json.dumps(content, indent=1) + "\n")


def kept_about(folder: Path) -> dict:
    """What scores.json of a model says, nothing if there is none or, with a warning, a damaged one."""
    path = folder / "scores.json"
    if not path.is_file():
        return {}
    try:
        if isinstance(about := json.loads(path.read_text(encoding="utf-8")), dict):
            return about
        logging.warning("%s: damaged (no object), so it counts no more", path)
    except (OSError, ValueError) as error:
        logging.warning("%s: damaged (%s), so it counts no more", path, error)
    return {}


def kept(folder: Path, scenes: str, protocol: dict[str, str]) -> Values:
    """Values of a model on the scenes of that digest, without those that were asked in another way, with a warning.

    DataError for an outcomes.npz that is not the one of which scores.json beside it holds the digest."""
    path, file = folder / "outcomes.npz", folder / "scores.json"
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
        known, asked = about["outcomes"], about["protocol"]
        if not path.is_file() or digest(path) != known:
            raise DataError(f"{path}: missing or changed since it was scored; delete {file} and run stage 5 again")
        with np.load(path) as stored:
            values = {name: own for name in stored if (own := stored[name]).dtype.kind == "f"}
        same = {metric for metric in values if says(metric, asked) == says(metric, protocol)}
        other = [metric for metric in values if about["scenes"] != scenes or metric not in same]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{file}: cannot be used: {type(error).__name__}: {error}; delete it and run stage 5"
        ) from error
    if other:
        what = "scored on other scenes" if about["scenes"] != scenes else f"asked {', '.join(other)} in another way"
        logging.warning("%s: %s, left out; run stage 5 of its seed again", folder, what)
    return {metric: own for metric, own in values.items() if metric not in other}


def says(metric: str, protocol: dict[str, str]) -> list[str | None]:
    """What a protocol says of a metric: two that say different things of it never share a column."""
    named = [word for word in metric.split("_") if word in ("reworded", "direction", "assignment", "placed", "real")]
    return [protocol.get(word) for word in named or ["retrieval"]]


def merge_results(path: Path, rows: list[dict], stale: Callable[[dict], bool] = lambda row: False) -> None:
    """Put rows into the list of all results, in place of those of the same corpus and seed, of its pooled ones, and of
    what is stale."""
    corpora, replaced = {row["corpus"] for row in rows}, {(row["corpus"], row["seed"]) for row in rows}
    with Lock(path.with_name(f".{path.name}.lock"), path, wait=True):  # another seed may be scored at the same time
        kept = [
            row
            for row in read_results(path)
            if (row["corpus"], row["seed"]) not in replaced
            and not (row["corpus"] in corpora and (isinstance(row["seed"], str) or stale(row)))
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
