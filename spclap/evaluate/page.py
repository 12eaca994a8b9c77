"""A scoring as one HTML page that needs nothing else: no network, no scripts, no other file."""

import base64
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import jinja2
from markupsafe import Markup

from spclap.evaluate.benchmarks.scenes import chance
from spclap.evaluate.controls import CONTROLS
from spclap.evaluate.frozen import FrozenSet
from spclap.evaluate.record import SHOWS, natural
from spclap.evaluate.tables import HEADS, figure, head, main_metrics, needed
from spclap.scene.caption import true_caption
from spclap.space.directions import DIRECTIONS

AUDIO_BYTES = 7_000_000  # of all recordings on a page, which base64 makes a third larger
MARK = '<meta name="generator" content="spclap report">'
SERIES = 6  # colours and shapes that page.css and page.html have
CURVES = {
    "angle": "How far apart the two are", "level": "Level of the first over the other",
    "kinds": "Kinds of sound", "array": "What heard them", "words": "In what words they are told",
    "rt60": "RT60 of the room", "distance": "How far away the farthest is",
}  # fmt: skip


@dataclass(frozen=True)
class Heard:
    """A scene of a set that is at hand: its true caption, what hears it, and its FLAC file in base64, None where the
    page would become too large."""

    caption: str
    array: str
    audio: str | None


class Row(NamedTuple):
    """A line of a chart: its words, a note, chance in percent if it has one, and a figure of each model."""

    label: str
    note: str
    chance: float | None
    figures: list[dict | None]


def heard(sets: Sequence[FrozenSet], ids: Collection[str], limit: int) -> dict[str, Heard]:
    """Scene -> what there is to hear of it, for those of `ids` that the sets have; at most `limit` bytes of FLAC."""
    out, left = {}, limit
    for own in sets:
        for scene, array, file in zip(own.scenes, own.arrays, own.files, strict=True):
            if scene.id not in ids:
                continue
            audio = None
            if (size := file.stat().st_size) <= left:
                audio, left = base64.b64encode(file.read_bytes()).decode("ascii"), left - size
            out[scene.id] = Heard(true_caption(scene), array, audio)
    return out


def ranked_scenes(record: dict) -> list[str]:
    """The scenes of which a record has ranked captions, in order."""
    return list(dict.fromkeys(scene for own in record["models"].values() for scene in own["ranked"] or ()))


def figure_rows(models: dict[str, dict]) -> list[Row]:
    """A row for each metric of the main table."""
    owns = list(models.values())
    metrics = main_metrics(owns[0]["figures"])
    return [Row(head(m), "", chance(m), [own["figures"].get(m) for own in owns]) for m in metrics]


def curve_rows(models: dict[str, dict]) -> dict[str, list[Row]]:
    """Title of a curve -> a row for each of its points, by the number that it begins with; none for a curve of one
    point, which is the figure of all scenes."""
    owns, out = [own["curves"] for own in models.values()], {}
    for name, points in owns[0].items():
        found = {point: [own[name].get(point) for own in owns] for point in sorted(points, key=natural)}
        rows = [Row(p, f"{own[0]['n']} scenes", chance("assignment_2src"), own) for p, own in found.items()]
        if len(rows) > 1:
            out[CURVES.get(name, name)] = rows
    return out


@lru_cache
def _environment() -> jinja2.Environment:
    own = jinja2.Environment(
        autoescape=True,
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    own.globals.update(
        CONTROLS=CONTROLS, DIRECTIONS=DIRECTIONS, HEADS=HEADS, SERIES=SERIES, SHOWS=SHOWS, chance_of=chance,
        figure=figure, head=head,
    )  # fmt: skip
    own.filters["within"] = lambda value: f"{min(max(value, 0), 100):.2f}%"  # intervals may be infinite
    own.filters["breakable"] = lambda name: Markup("<wbr>").join(re.split(r"(?<=[/.:_])", name))
    return own


def page(record: dict, scenes: dict[str, Heard], silent: str = "") -> str:
    """HTML of what `read_record` gives.

    Args: scenes, what `heard` gives of `ranked_scenes`; silent, why there is nothing to hear.
    """
    models = record["models"]
    text = _environment().get_template("page.html").render(
        record=record, models=models, scenes=scenes, silent=silent, figure_rows=figure_rows(models),
        metrics=main_metrics(list(models.values())[0]["figures"]), curve_rows=curve_rows(models),
        ranked=ranked_scenes(record), needed=needed(models), mark=MARK,
    )  # fmt: skip
    return text.encode("utf-8", "backslashreplace").decode()  # names of files may be no UTF-8
