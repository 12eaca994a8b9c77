"""Models in many places, told what they hear through and not: other arrays and rooms, measured heads."""

import logging
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from spclap.data.audio import MIN_SECONDS
from spclap.data.config import load_config, parse
from spclap.data.datadir import load_datadir
from spclap.errors import DataError
from spclap.evaluate import markdown, plots
from spclap.evaluate.benchmarks.scenes import binding
from spclap.evaluate.embedder import Embedder
from spclap.evaluate.figures import Figures, Outcomes, Values, figures, set_name
from spclap.evaluate.frozen import RenderedSet
from spclap.evaluate.protocols import Embeddings
from spclap.evaluate.tables import figure
from spclap.scene.bank import RirBank
from spclap.scene.conf import CLEAN
from spclap.scene.corpus import Corpus
from spclap.scene.heads import ANY_HEAD, MeasuredConf, write_head_bank
from spclap.scene.rooms import write_bank
from spclap.scene.sampler import SceneSampler
from spclap.scene.sounds import SoundConf
from spclap.space.array import SAMPLE_RATE, Array, array_of
from spclap.space.sofa import read_head

Rows = dict[tuple[str, str, str], dict[str, dict]]  # place, model, told -> metric -> figure
OF_SCENES = ("told", "sounds", "scenes", "seconds")  # of a place: see `Place`
OWN, NOTHING, NEVER = "its own", "nothing", "(cannot be)"  # what a model is told beside the words for an array


@dataclass(frozen=True)
class PlacesConf:
    """conf/places.yaml."""

    seed: int
    rooms: int  # of each place
    scenes: dict[int, int]  # number of sources -> scenes of each place
    places: dict[str, dict]  # name -> what changes in the rooms of the fixed scenes, and OF_SCENES
    measured: dict[str, dict]  # name -> see MeasuredConf

    def __post_init__(self):
        if self.rooms < 1 or not self.scenes or min(self.scenes.values()) < 1:
            raise ValueError(f"rooms is {self.rooms} and scenes {self.scenes}; both must be 1 or more")
        for key in ("places", "measured"):
            named = getattr(self, key)
            if not isinstance(named, dict) or not all(isinstance(own, dict) for own in named.values()):
                raise ValueError(f"{key} is {named}; it must be names with `key: value` in braces, or {{}}")
            for name, own in named.items():
                told = own.get("told", [])
                if not isinstance(told, list):
                    raise ValueError(f"{key}: {name}: told is {told}; it must be a list, such as [ortf]")
                for words in told:
                    array_of(str(words))
                seconds = own.get("seconds", 1.0)
                if not (isinstance(seconds, float | int) and seconds >= MIN_SECONDS):
                    raise ValueError(f"{key}: {name}: seconds is {seconds}; it must be {MIN_SECONDS} or more")


@dataclass(frozen=True)
class Place:
    """Where models are scored, and the arrays that they are told there beside the place's own; `own`, what that is.
    sounds, scenes (sources -> count), seconds: what is heard there."""

    bank: RirBank
    told: list[str]
    sounds: SoundConf
    scenes: dict[int, int]
    seconds: float
    own: str = OWN


def places(conf: PlacesConf, corpus: Corpus, folder: Path, nj: int) -> dict[str, Place]:
    """Impulse responses of every place, written below `folder`; measured ones that are not there are left out."""
    simu, out = corpus.simu, {}
    base = {**simu.settings[simu.scenes.rooms], "count": {"test": conf.rooms}}
    rooms = {}
    for name, changes in conf.places.items():
        own = {key: value for key, value in changes.items() if key not in OF_SCENES}
        rooms[name] = simu.room_conf({**base, **own}, f"places: {name}")
    heads = {name: parse(MeasuredConf, values, f"measured: {name}") for name, values in conf.measured.items()}
    for name, room in rooms.items():
        write_bank(folder / name, "test", {"test": room}, simu.rir_seconds, [conf.seed, 7], nj)
        changes = conf.places[name]
        sounds = parse(SoundConf, {**simu.sounds[CLEAN], **changes.get("sounds", {})}, f"places: {name}: sounds")
        bank, told = RirBank(folder / name), changes.get("told", [])
        seconds = changes.get("seconds", simu.scenes.seconds)
        out[name] = Place(bank, told, sounds, changes.get("scenes", conf.scenes), seconds)
    for name, head in heads.items():
        if not Path(head.path).exists():
            logging.warning(
                "%s is not there, so `%s` is left out; docs/arrays.md says where to get it", head.path, name
            )
            continue
        taps = round(simu.rir_seconds * SAMPLE_RATE)
        found = read_head(Path(head.path), SAMPLE_RATE, head.way)
        write_head_bank(folder / name, found, head, conf.rooms, taps, [conf.seed, 8])
        own = ANY_HEAD if found.in_room else OWN
        out[name] = Place(
            RirBank(folder / name), head.told, *simu.sounding([CLEAN]), conf.scenes, simu.scenes.seconds, own
        )
    return out


def outcomes(
    embedder: Embedder, sets: list[RenderedSet], told: Array | None, text: dict[str, np.ndarray]
) -> Outcomes:  # fmt: skip
    """Direction and assignment per scene of a model in a place; told, in place of the array of each room; text, vectors
    of captions that it has read."""
    out = {}
    for sounds in sets:
        heard = sounds if told is None else replace(sounds, arrays=[str(told)] * len(sounds.scenes))
        out |= binding(Embeddings(embedder, text).hear(heard))[0]
    return out


def told_ways(place: Place, embedder: Embedder) -> dict[str, Array | None]:
    """What a model is told in a place: the own array of each room first, the model's default, and what the place
    lists."""
    if (default := getattr(embedder, "default_array", None)) is None:
        return {NEVER: None}
    return {place.own: None, NOTHING: default, **{words: array_of(words) for words in place.told}}


def table(rows: Rows) -> str:
    """Markdown: a line per place, model and what it is told."""
    metrics = list(dict.fromkeys(metric for own in rows.values() for metric in own))
    lines = [[*names, *(figure(own.get(metric)) for metric in metrics)] for names, own in rows.items()]
    return markdown.table(["place", "model", "told", *metrics], lines)


def draw(rows: Rows, tag: str, path: Path) -> None:
    """A picture of one model."""
    chosen = [(place, way, own) for (place, name, way), own in rows.items() if name == tag]
    plots.places_told(
        [(*names, m, *(f[key] for key in ("value", "low", "high"))) for *names, own in chosen for m, f in own.items()],
        path,
    )


def heard_in(name: str, place: Place, sampler: SceneSampler, corpus: Corpus, seed: int) -> list[RenderedSet]:
    """The scenes of a place."""
    return [
        RenderedSet.of(
            set_name(size), sampler.fixed([seed, 9], size, count, name), corpus, place.bank, "test", place.seconds
        )
        for size, count in place.scenes.items()
    ]


def run(models: dict[str, Embedder], corpus: Corpus, conf_files: list[Path], out: Path, nj: int) -> tuple[Values, str]:
    """Values, `place/model/told/metric`, and their table; a picture of the first model goes into `out`."""
    conf = load_config(PlacesConf, *conf_files)
    names = [Path(name).name for name in models]
    tags = {name if names.count(Path(name).name) > 1 else Path(name).name: own for name, own in models.items()}
    text: dict[str, dict] = {tag: {} for tag in tags}  # most places share captions
    rows, values, clips = {}, {}, load_datadir(corpus.data / "test")
    with tempfile.TemporaryDirectory() as scratch:
        if not (there := places(conf, corpus, Path(scratch), nj)):
            raise DataError(f"{conf_files[-1]}: no places; name one, such as {{places: {{recipe: {{}}}}}}")
        for name, place in there.items():
            logging.info("scoring in %s", name)
            sets = heard_in(name, place, SceneSampler(clips, place.bank, [place.sounds]), corpus, conf.seed)
            test = Figures({own.name: own.recordings for own in sets})
            for tag, model in tags.items():
                for way, told in told_ways(place, model).items():
                    found = figures(outcomes(model, sets, told, text[tag]))
                    rows[name, tag, way] = test.of(found)
                    values |= {f"{name}/{tag}/{way}/{metric}": own for metric, own in found.items()}
    out.mkdir(parents=True, exist_ok=True)
    draw(rows, next(iter(tags)), out / "places.png")
    scenes = ", ".join(f"{count} of {size}" for size, count in conf.scenes.items())
    about = f"{conf.rooms} rooms a place, seed {conf.seed}; scenes by number of sources: {scenes}."
    return values, f"{table(rows)}\n\n{about} Intervals: 95%, over recordings."
