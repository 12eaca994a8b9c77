"""Score trained models in many places, told what they hear through and not: other arrays and rooms, measured heads."""

import argparse
import json
import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spclap.bin import environment, require_gpus, run_main
from spclap.data.audio import MIN_SECONDS
from spclap.data.config import load_config, parse
from spclap.data.datadir import load_datadir
from spclap.data.files import atomic_write_text
from spclap.data.stamp import require_corpus
from spclap.errors import DataError
from spclap.evaluate import markdown, plots
from spclap.evaluate.embedder import OfClap
from spclap.evaluate.intervals import shown
from spclap.evaluate.protocols import Embeddings, assignment, direction
from spclap.evaluate.results import FixedSet, set_name
from spclap.scene.bank import RirBank
from spclap.scene.conf import CLEAN
from spclap.scene.corpus import Corpus
from spclap.scene.heads import ANY_HEAD, MeasuredConf, write_head_bank
from spclap.scene.rooms import write_bank
from spclap.scene.sampler import SceneSampler
from spclap.scene.scene import Scene
from spclap.scene.sounds import SoundConf
from spclap.space.array import SAMPLE_RATE, Array, array_of
from spclap.space.sofa import read_head

Values = dict[str, np.ndarray]  # metric -> outcome of each scene
Scenes = dict[int, list[Scene]]  # number of sources -> scenes
Figures = dict[tuple[str, str, str], dict[str, tuple]]  # place, model, told -> metric -> value, low, high
OF_SCENES = ("told", "sounds", "scenes", "seconds")  # of a place: see `Place`
OWN, NOTHING, NEVER = "its own", "nothing", "(cannot be)"  # what a model is told beside the words for an array


@dataclass(frozen=True)
class GeneralizeConf:
    """conf/generalize.yaml."""

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


def places(conf: GeneralizeConf, corpus: Corpus, folder: Path, nj: int) -> dict[str, Place]:
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
    model, corpus: Corpus, place: Place, scenes: Scenes, what: str, told: Array | None, text: dict[str, np.ndarray]
) -> Values:
    """Direction and assignment per scene of a model in a place; text, vectors of captions that it has read."""
    pack, samples, values = corpus.pack("test"), round(place.seconds * SAMPLE_RATE), {}
    for size, own in scenes.items():
        embeddings = Embeddings(OfClap(model.clap), text)
        embeddings.add(own, model.embed_scenes(own, pack, place.bank, samples, f"{what} {size}src", told))
        if size <= 2:
            values[f"direction_{size}src"] = 100.0 * direction(embeddings)[0]
        if size >= 2:
            values[f"assignment_{size}src"] = 100.0 * assignment(embeddings)
    return values


def told_ways(place: Place, model) -> dict[str, Array | None]:
    """What a model is told in a place: the own array of each room first, the model's default, and what the place
    lists."""
    if not model.clap.told:
        return {NEVER: None}
    return {place.own: None, NOTHING: model.clap.array, **{words: array_of(words) for words in place.told}}


def figures(found: dict[str, dict[tuple[str, str], Values]], tests: dict[str, FixedSet]) -> Figures:
    """What was found, with intervals."""
    return {
        (place, tag, way): {r["metric"]: (r["value"], r["low"], r["high"]) for r in tests[place].rows(tag, values, {})}
        for place, ways in found.items()
        for (tag, way), values in ways.items()
    }


def table(rows: Figures) -> str:
    """Markdown: a line per place, model and what it is told."""
    metrics = list(dict.fromkeys(metric for own in rows.values() for metric in own))
    lines = [[*names, *(shown(*own[m]) if m in own else "-" for m in metrics)] for names, own in rows.items()]
    return markdown.table(["place", "model", "told", *metrics], lines)


def draw(rows: Figures, tag: str, path: Path) -> None:
    """A picture of one model."""
    chosen = {(place, way): own for (place, name, way), own in rows.items() if name == tag}
    plots.places_told(
        [(*names, metric, *figure) for names, own in chosen.items() for metric, figure in own.items()], path
    )


def header(args: argparse.Namespace, conf: GeneralizeConf) -> str:
    """What the table is of: models, corpus, sizes, and the environment."""
    scenes = ", ".join(f"{count} of {size}" for size, count in conf.scenes.items())
    made = "; ".join(f"{key}: {value}" for key, value in environment().items())
    return (
        f"Models: {' '.join(map(str, args.models))}. Sounds: {args.data / 'test'}. {conf.rooms} rooms a place, "
        f"seed {conf.seed}; scenes by number of sources: {scenes}. Intervals: 95%, over recordings.\n{made}"
    )


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data/<corpus>")
    parser.add_argument("--dump", type=Path, required=True, help="dump/<corpus>")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="folders of trained models")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="Markdown table, written; beside it scenes' outcomes as JSON and a picture of the first model",
    )
    parser.add_argument("--conf", type=Path, nargs="+", default=[Path("conf/generalize.yaml")])
    parser.add_argument("--nj", type=int, default=2, help="processes that simulate rooms")
    parser.add_argument("--ngpu", type=int, default=0, help="1: encode on a GPU")
    args = parser.parse_args()
    if args.out.suffix == ".json":
        raise DataError(f"--out is {args.out}; the outcomes get that name, so give it another suffix, such as .md")
    require_gpus(args.ngpu)
    return args


def load_models(folders: list[Path], corpus: Corpus, ngpu: int) -> dict[str, tuple[Any, dict[str, np.ndarray]]]:
    """Name -> model, and the vectors of the captions that it has read: most places share them."""
    from spclap.engine.trained import load_training, require_clap

    for folder in folders:
        require_clap(folder)
    names = [folder.name for folder in folders]
    labels = [name if names.count(name) == 1 else str(folder) for name, folder in zip(names, folders, strict=True)]
    return {label: (load_training(path, corpus, ngpu)[0], {}) for label, path in zip(labels, folders, strict=True)}


def main() -> None:
    args = options()
    conf, corpus = load_config(GeneralizeConf, *args.conf), Corpus(args.data, args.dump)
    require_corpus(args.data, args.dump)
    models = load_models(args.models, corpus, args.ngpu)
    with tempfile.TemporaryDirectory() as scratch:
        found, tests, clips = {}, {}, load_datadir(args.data / "test")
        if not (there := places(conf, corpus, Path(scratch), args.nj)):
            raise DataError(f"{args.conf[-1]}: no places; name one, such as {{places: {{recipe: {{}}}}}}")
        for name, place in there.items():
            sampler = SceneSampler(clips, place.bank, [place.sounds])
            drawn = {size: sampler.fixed([conf.seed, 9], size, n, name) for size, n in place.scenes.items()}
            tests[name] = FixedSet({set_name(size): corpus.recordings(own) for size, own in drawn.items()})
            found[name] = {
                (tag, way): outcomes(model, corpus, place, drawn, f"{name}, {tag} told {way}", told, text)
                for tag, (model, text) in models.items()
                for way, told in told_ways(place, model).items()
            }
    rows = figures(found, tests)
    text = header(args, conf) + "\n\n" + table(rows)
    plain = {
        place: [
            {"model": tag, "told": way, **{m: v.astype(int).tolist() for m, v in values.items()}}
            for (tag, way), values in ways.items()
        ]
        for place, ways in found.items()
    }
    atomic_write_text(args.out.with_suffix(".json"), json.dumps(plain) + "\n")
    draw(rows, next(iter(models)), args.out.with_suffix(".png"))
    atomic_write_text(args.out, text + "\n")
    print(text)


if __name__ == "__main__":
    run_main(main)
