"""What sounds where, direction by direction: cells of a timeline, the caption that they make, and a picture."""

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from scipy.special import softmax

from spclap.model.blocks import energies
from spclap.space.directions import DIRECTIONS
from spclap.space.wording import TEMPLATE

LEAST = 0.08  # of a vector's energy, what the block of a direction has where something sounds; see docs/use.md


@dataclass(frozen=True)
class Cell:
    """What sounds at a direction from `start` to `end` s: the likeliest label, with its probability among all labels
    there; none where nothing is heard."""

    start: float
    end: float
    direction: str
    label: str | None = None
    score: float | None = None


def cells(start: float, end: float, vector: np.ndarray | None, logits: np.ndarray, labels: Sequence[str]) -> list[Cell]:
    """A cell for each direction: the label of which (labels, directions) logits are the greatest there, none where the
    block of `vector` (dim,) has less than LEAST of its energy; all empty for None."""
    if vector is None:
        return [Cell(start, end, direction) for direction in DIRECTIONS]
    scores, filled = softmax(logits.astype(float), axis=0), energies(vector[None])[0] >= LEAST
    best = scores.argmax(axis=0)
    return [
        Cell(start, end, direction, labels[best[k]], float(scores[best[k], k]))
        if filled[k]
        else Cell(start, end, direction)
        for k, direction in enumerate(DIRECTIONS)
    ]


def caption(cells: Iterable[Cell]) -> str:
    """What the cells of a window say in one sentence."""
    heard = [(cell.label, cell.direction) for cell in cells if cell.label is not None]
    return TEMPLATE.caption(*zip(*heard, strict=True)) if heard else ""


@dataclass(frozen=True)
class Stretch:
    """Windows one after the other in which a direction has one label: what is drawn as one box, from `start` to `end`
    s; score, the mean."""

    start: float
    end: float
    direction: str
    label: str
    score: float


def stretches(cells: Iterable[Cell]) -> list[Stretch]:
    """Of a timeline, direction by direction. A window lasts until the next one begins."""
    cells, found = list(cells), []
    for direction in DIRECTIONS:
        row = [cell for cell in cells if cell.direction == direction]
        ends = [*(cell.start for cell in row[1:]), *(cell.end for cell in row[-1:])]
        for label, group in groupby(zip(row, ends, strict=True), key=lambda pair: pair[0].label):
            if label is not None:
                pairs = list(group)
                score = sum(cell.score for cell, _ in pairs) / len(pairs)
                found.append(Stretch(pairs[0][0].start, pairs[-1][1], direction, label, score))
    return found


STRIPS, LEAST_SECONDS = 24, 20.0  # pictures have so many strips at most, of so many s at least
WIDTH, HEIGHT, MARGIN = 15.0, 2.4, 1.1  # inches of a strip; what of its width is no time
SIZE, LETTER, LINES = 7.5, 0.062, 3  # points and inches of a letter in a box; lines that a box has room for
PALETTE = (
    "#88ccee", "#ddcc77", "#cc6677", "#44aa99", "#bbbbbb", "#ee8866", "#aaaaff", "#bbcc33", "#ffaabb", "#99ddbb",
    "#e6b3e6", "#cfa77a",
)  # fmt: skip


def picture(cells: Iterable[Cell], title: str, path: Path) -> None:
    """A PNG: directions as rows, time as columns, the likeliest words in boxes that are the paler the less sure they
    are; long recordings in strips below each other. A box without room for words has a number, told at the end."""
    from matplotlib.figure import Figure

    from spclap.data.files import atomic_path

    cells = list(cells)
    length, boxes = max(cell.end for cell in cells), stretches(cells)
    strip = max(min(length, LEAST_SECONDS), float(math.ceil(length / STRIPS)))
    count = math.ceil(length / strip)
    numbers = {label: number for number, label in enumerate(dict.fromkeys(box.label for box in boxes), start=1)}
    told = textwrap.fill("   ".join(f"{number} {label}" for label, number in numbers.items()), int(WIDTH / LETTER))
    foot = 0.7 + 0.14 * (told.count("\n") + 1)
    figure = Figure(figsize=(WIDTH, HEIGHT * count + foot), layout="constrained")
    figure.suptitle(title, fontsize=11, parse_math=False)
    rows = figure.subplots(count, 1, squeeze=False)[:, 0]
    short = [_strip(axes, boxes, numbers, k * strip, (k + 1) * strip) for k, axes in enumerate(rows)]
    rows[-1].set_xlabel("s" + (f"\n{told}" if any(short) else ""), fontsize=SIZE + 1, parse_math=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=100, format="png")


def _strip(axes, boxes: Iterable[Stretch], numbers: dict[str, int], start: float, end: float) -> bool:
    """Draw what is between `start` and `end` s; whether a number stands for words."""
    from matplotlib.colors import to_rgba

    short, bars, colours = False, [[] for _ in DIRECTIONS], [[] for _ in DIRECTIONS]
    for box in boxes:
        low, high = max(box.start, start), min(box.end, end)
        if low >= high:
            continue
        row, number = DIRECTIONS.index(box.direction), numbers[box.label]
        bars[row].append((low, high - low))
        colours[row].append(to_rgba(PALETTE[(number - 1) % len(PALETTE)], 0.25 + 0.75 * box.score))
        words = fitting(box.label, (high - low) / (end - start) * (WIDTH - MARGIN))
        place = {"ha": "center", "va": "center", "fontsize": SIZE, "clip_on": True}
        axes.text((low + high) / 2, row, words or str(number), in_layout=False, parse_math=False, **place)
        short |= not words
    for row, (parts, fills) in enumerate(zip(bars, colours, strict=True)):
        axes.broken_barh(parts, (row - 0.45, 0.9), facecolors=fills, edgecolor="white")
    axes.set(xlim=(start, end), ylim=(len(DIRECTIONS) - 0.5, -0.5), yticks=range(len(DIRECTIONS)))
    axes.set_yticklabels(DIRECTIONS, fontsize=SIZE + 1)
    axes.tick_params(length=0, labelsize=SIZE + 1)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    return short


def fitting(label: str, inches: float) -> str:
    """A label in lines of so many inches, nothing where it needs more than LINES."""
    letters = int(inches / LETTER)
    lines = textwrap.wrap(label, max(letters, 1), break_long_words=False)
    return "\n".join(lines) if len(lines) <= LINES and max(map(len, lines)) <= letters else ""
