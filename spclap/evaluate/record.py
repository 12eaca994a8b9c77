"""What a scoring leaves: record.json with every figure, its interval and how it was made; outcomes.npz with the outcome
of each scene, from which every figure can be made again."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spclap.data.files import atomic_path, atomic_write_text
from spclap.errors import DataError
from spclap.evaluate.benchmarks.scenes import Outcomes, Scored, chance, curves
from spclap.evaluate.frozen import SceneSet
from spclap.evaluate.intervals import Clusters
from spclap.evaluate.results import figures, set_of

FORMAT = 1
SHOWS = 3.0  # points that a reader may want to see a difference of


class Figures:
    """Figures of outcomes on sets of scenes."""

    def __init__(self, sets: Sequence[SceneSet]):
        self.sets = list(sets)
        self.clusters = {own.name: Clusters(own.recordings) for own in sets}

    def figure(self, metric: str, values: np.ndarray, other: np.ndarray | None = None) -> dict:
        """Value, interval and sizes of a metric in percent, or of its difference from another model's."""
        clusters = self.clusters[set_of(metric)]
        whole = None if metric.startswith("meanrank") else 100.0
        interval = clusters.mean(values, whole) if other is None else clusters.difference(values, other)
        return {**dict(zip(("value", "low", "high"), interval, strict=True)), "n": len(values), **self._sizes(clusters)}

    def of(self, outcomes: Outcomes) -> dict[str, dict]:
        """Metric -> figure."""
        return {metric: self.figure(metric, values) for metric, values in figures(outcomes).items()}

    def on_curves(self, outcomes: Outcomes) -> dict[str, dict]:
        """Curve -> point -> figure of assignment of two sources."""
        out: dict[str, dict] = {}
        for name, points in curves(self.sets).items():
            recordings = self.clusters["2src"].recordings
            for point, rows in sorted(points.items(), key=lambda own: natural(own[0])):
                clusters = Clusters([recordings[row] for row in rows])
                values = 100.0 * outcomes["assignment_2src"][rows]
                interval = dict(zip(("value", "low", "high"), clusters.mean(values, 100.0), strict=True))
                out.setdefault(name, {})[point] = {**interval, "n": len(rows), **self._sizes(clusters)}
        return out

    @staticmethod
    def _sizes(clusters: Clusters) -> dict[str, int]:
        return {"recordings": clusters.count}


def natural(text: str) -> list:
    """Sorts what begins with a number by it."""
    first = text.split()[0]
    return [0, float(first), ""] if first.lstrip("-").replace(".", "", 1).isdigit() else [1, 0.0, text]


def warnings(models: dict[str, dict], blind: Sequence[str]) -> list[str]:
    """A line for each control of a model that is above chance though it is blind, or does not fall though it must."""
    lines = []
    for model, own in models.items():
        for control, found in own["controls"].items():
            for metric, figure in found.items():
                if control in blind and figure["low"] > chance(metric):
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


def recorded(sets: Sequence[SceneSet], scored: dict[str, Scored], blind: Sequence[str], about: dict) -> dict:
    """All of record.json; the first model is compared with each other one."""
    found = Figures(sets)
    models = {
        name: {
            "figures": found.of(own.outcomes),
            "controls": {control: found.of(under) for control, under in own.controls.items()},
            "curves": found.on_curves(own.outcomes),
            "confusion": own.confusion,
            "ranked": own.ranked,
        }
        for name, own in scored.items()
    }
    first, *others = scored
    values = {name: figures(own.outcomes) for name, own in scored.items()}
    differences = [
        {"first": first, "second": other, "metric": metric, **found.figure(metric, own, values[other][metric])}
        for other in others
        for metric, own in values[first].items()
        if not metric.startswith("meanrank")
    ]
    sizes = [{"name": own.name, "scenes": len(own.scenes), "arrays": sorted(set(own.arrays))} for own in sets]
    return {
        "format": FORMAT, "about": about, "sets": sizes, "warnings": warnings(models, blind), "models": models,
        "differences": differences,
    }  # fmt: skip


def write_record(folder: Path, record: dict, scored: dict[str, Scored]) -> None:
    with atomic_path(folder / "outcomes.npz") as temporary, temporary.open("wb") as file:
        arrays = {f"{name}/{metric}": values for name, own in scored.items() for metric, values in own.outcomes.items()}
        for name, own in scored.items():
            for control, under in own.controls.items():
                arrays |= {f"{name}/{control}/{metric}": values for metric, values in under.items()}
        np.savez_compressed(file, **arrays)
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
