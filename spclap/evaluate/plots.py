"""Pictures of results. Every function writes one PNG (none when there is nothing to draw) and keeps no state."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from spclap.data.files import atomic_path

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito, colour-blind safe
SHOWN = 50  # of a gallery
STYLES = ("-", "--", ":", "-.")


def _save(figure: Figure, path: Path) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")


CURVES = {
    "train_loss": "training loss",
    "valid_score": "validation score",
    "valid_assignment_2src": "assignment of 2 validation sources, %",
}


def training_curves(histories: dict[str, list[dict]], path: Path) -> None:
    """Losses and validation figures over epochs, a line per model.

    histories: tag -> dicts of an epoch each, with `epoch` and those keys of `CURVES` that the model has.
    """
    if not histories:
        return
    figure = Figure(figsize=(4 * len(CURVES) + 2, 4), layout="constrained")
    axes = figure.subplots(1, len(CURVES))
    for number, (tag, entries) in enumerate(histories.items()):
        style = {"color": COLOURS[number % len(COLOURS)], "linestyle": STYLES[number // len(COLOURS) % len(STYLES)]}
        for axis, key in zip(axes, CURVES, strict=True):
            points = [(entry["epoch"], entry[key]) for entry in entries if key in entry]
            if points:
                axis.plot(*zip(*points, strict=True), marker=".", label=tag, **style)
    for axis, label in zip(axes, CURVES.values(), strict=True):
        axis.set(xlabel="epoch", title=label)
        axis.grid(alpha=0.3)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes[-1].axhline(50, color="black", linewidth=1)  # chance
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=9)
    _save(figure, path)


def direction_confusion(matrix: np.ndarray, names: Sequence[str], path: Path) -> None:
    """Share of chosen directions (columns) per true direction (rows); matrix (5, 5) of counts."""
    shares = 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(5.2, 4.4), layout="constrained")
    axis = figure.subplots()
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    for row, column in np.ndindex(*shares.shape):
        colour = "white" if shares[row, column] > 60 else "black"
        axis.text(column, row, f"{shares[row, column]:.0f}", ha="center", va="center", color=colour)
    axis.set_xticks(range(len(names)), names, rotation=25)
    axis.set_yticks(range(len(names)), names)
    axis.set(xlabel="chosen direction", ylabel="true direction", title=f"Direction, {matrix.sum()} sources")
    figure.colorbar(image, label="% of the row")
    _save(figure, path)


def similarity_matrix(part: np.ndarray, gallery: int, path: Path) -> None:
    """Cosines of the first audio (rows) and captions (columns) of a gallery; the true pairs lie on the diagonal."""
    figure = Figure(figsize=(5.4, 4.6), layout="constrained")
    axis = figure.subplots()
    image = axis.imshow(part, cmap="viridis", interpolation="nearest")
    axis.set(xlabel="caption", ylabel="audio", title=f"Similarity, {len(part)} of a gallery of {gallery}")
    figure.colorbar(image, label="cosine")
    _save(figure, path)


def places_told(rows: Sequence[tuple[str, str, str, float, float, float]], path: Path) -> None:
    """A panel per metric, a line per place, a point with its interval per what the model was told there; rows of
    (place, told, metric, value, low, high) in percent."""
    names, ways, metrics = (list(dict.fromkeys(row[column] for row in rows)) for column in range(3))
    figure = Figure(figsize=(2.4 + 3.4 * len(metrics), 1.6 + 0.34 * len(names)), layout="constrained")
    axes = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for axis, metric in zip(axes, metrics, strict=True):
        for number, way in enumerate(ways):
            points = [(names.index(row[0]), *row[3:]) for row in rows if row[1:3] == (way, metric)]
            at, value, low, high = np.array(points).reshape(-1, 4).T  # none where no place has this metric that way
            style = {"color": COLOURS[number % len(COLOURS)], "marker": "os^Dv"[number % 5], "linestyle": "none"}
            shifted = at + 0.16 * (number - (len(ways) - 1) / 2)
            axis.errorbar(value, shifted, xerr=[value - low, high - value], label=f"told {way}", capsize=2, **style)
        axis.set(xlim=(0, 102), xticks=range(0, 101, 20), xlabel="scenes right (%), 95% interval", title=metric)
        axis.grid(alpha=0.3)
    axes[0].set_yticks(range(len(names)), names)
    axes[0].invert_yaxis()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(ways), frameon=False)
    _save(figure, path)


def assignment_bars(rows: Sequence[tuple[str, int, float, float, float]], path: Path) -> None:
    """Content-space assignment per model with intervals; rows of (tag, sources, value, low, high) in percent."""
    if not rows:
        return
    sizes = sorted({row[1] for row in rows})
    models = len({row[0] for row in rows})
    figure = Figure(figsize=(1.6 + 3.6 * len(sizes), 1.2 + 0.3 * models), layout="constrained")
    axes = figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0]
    for axis, size in zip(axes, sizes, strict=True):
        chosen = [row for row in rows if row[1] == size]
        values = np.array([row[2] for row in chosen])
        errors = np.array([[row[2] - row[3], row[4] - row[2]] for row in chosen]).T
        colours = [COLOURS[i % len(COLOURS)] for i in range(len(chosen))]
        axis.barh([row[0] for row in chosen], values, xerr=errors, capsize=3, color=colours)
        for place, (_, _, value, _, high) in enumerate(chosen):
            axis.annotate(f"{value:.1f}", (high, place), (3, 0), textcoords="offset points", va="center", fontsize=9)
        chance = 100 / math.factorial(size)
        axis.axvline(chance, color="black", linestyle="--", linewidth=1, label="chance")
        axis.margins(y=0.02)
        axis.set(xlim=(0, 112), xticks=range(0, 101, 20), xlabel="scenes right (%), 95% interval")
        axis.set_title(f"Assignment of {size} sources, chance {chance:.1f}", fontsize=10)
    axes[0].invert_yaxis()
    _save(figure, path)
