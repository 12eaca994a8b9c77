"""Records as tables for people."""

from spclap.evaluate.controls import CONTROLS
from spclap.evaluate.intervals import shown
from spclap.evaluate.markdown import table
from spclap.evaluate.record import SHOWS, scenes_that_show

HEADS = {
    "r1_a2t": "caption found first", "r1_t2a": "recording found first", "direction": "direction",
    "assignment": "binding",
    "placed": "place of a sound, true or empty",
    "reworded_direction": "direction, other words", "reworded_assignment": "binding, other words",
}  # fmt: skip


def head(metric: str) -> str:
    """Words for a metric such as `direction_2src`."""
    name, _, size = metric.rpartition("_")
    count = int(size[0])
    return f"{HEADS.get(name, name)}, {count} source{'s' if count > 1 else ''}"


def figure(found: dict | None) -> str:
    return "-" if found is None else shown(found["value"], found["low"], found["high"])


def main_metrics(figures: dict) -> list[str]:
    return [metric for metric in figures if metric.rpartition("_")[0] in HEADS]


def needed(models: dict[str, dict]) -> list[str]:
    """How many scenes of each kind would show a difference of SHOWS points."""
    first = next(iter(models.values()))["figures"]
    return [f"{head(m)}: {scenes_that_show(first[m])}" for m in main_metrics(first) if "assignment" in m]


def record_tables(record: dict) -> str:
    """Markdown: warnings, models, differences from the first, controls, curves, and what was asked."""
    models, about = record["models"], record["about"]
    metrics = main_metrics(next(iter(models.values()))["figures"])
    parts = [*(f"**Warning**: {line}." for line in record["warnings"])]
    rows = [[head(m), *(figure(own["figures"].get(m)) for own in models.values())] for m in metrics]
    parts += ["Percent right [95% interval over recordings]:", table(["", *models], rows)]
    for second in list(models)[1:]:
        found = {row["metric"]: row for row in record["differences"] if row["second"] == second}
        rows = [[head(metric), figure(found.get(metric))] for metric in metrics]
        parts.append(table(["", f"{next(iter(models))} minus {second}"], rows))
    for name, own in models.items():
        if own["controls"]:
            parts += [f"Controls, {name}:", controls_table(own)]
        for curve, points in own["curves"].items():
            rows = [[point, found["n"], figure(found)] for point, found in points.items()]
            parts.append(table([curve, "scenes", f"binding of {name}, 2 sources"], rows))
    if wanted := "; ".join(needed(models)):
        parts.append(f"Scenes that show a difference of {SHOWS:.0f} points, of as many recordings each: {wanted}.")
    sets = ", ".join(f"{own['scenes']} of {own['name']} ({', '.join(own['arrays'])})" for own in record["sets"])
    parts.append(f"Scenes: {sets}.")
    parts.append("\n".join(f"- {name}: {text}" for name, text in about["protocol"].items()))
    return "\n\n".join(parts)


def controls_table(own: dict) -> str:
    """A line for each control, with the model as it is on top."""
    metrics = list(next(iter(own["controls"].values())))
    rows = [["as it is", *(figure(own["figures"][metric]) for metric in metrics)]]
    rows += [[CONTROLS[name].told, *(figure(found[m]) for m in metrics)] for name, found in own["controls"].items()]
    return table(["", *map(head, metrics)], rows)
