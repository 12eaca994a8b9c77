"""Writes spclap/released: weights, vocabulary, an example, and a card with the figures of the twin."""

import argparse
import logging
import re
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import soundfile
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from spclap.bin import run_main
from spclap.data.datadir import Clip, load_datadir
from spclap.engine.clap import clap_conf, learned_arrays
from spclap.engine.trained import arguments, load_training
from spclap.errors import DataError
from spclap.evaluate.calibration import calibration_error, fit_temperature
from spclap.evaluate.embedder import OfClap
from spclap.evaluate.frozen import RenderedSet
from spclap.evaluate.protocols import Embeddings
from spclap.inference import SpatialCLAP
from spclap.model.checkpoints import save_trained
from spclap.model.folders import write_sums
from spclap.scene.corpus import Corpus
from spclap.scene.scene import Scene, Source
from spclap.scene.spatialize import render
from spclap.space.array import SAMPLE_RATE
from spclap.space.directions import DIRECTIONS
from spclap.space.wording import TEMPLATE

LOCAL = Path(__file__).parent
EXAMPLE = {"left": "dog", "right": "rain"}  # of clips in the public domain
EXAMPLE_SECONDS, PEAK = 3.0, 0.5
NO_MODELS = ("| ceiling |", "| direct_sound |")


def direction_cosines(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Cosines (n, 5) of one known sound at each direction, and which is right, of the fixed scenes of one source."""
    args = arguments(folder)
    corpus = Corpus(args.data, args.dump)
    embedder, cosines, truth = OfClap(load_training(folder, corpus).clap), [], []
    for setting in corpus.simu.scenes.fixed:
        scenes = corpus.fixed(split, 1, setting)
        sounds = RenderedSet.of(setting, scenes, corpus, corpus.bank(split), split, corpus.simu.scenes.seconds)
        found = Embeddings(embedder).hear(sounds)
        for scene, audio in zip(scenes, found.audio, strict=True):
            (source,) = scene.sources
            captions = [TEMPLATE.caption([source.caption], [where]) for where in DIRECTIONS]
            cosines.append(found.text(captions) @ audio)
            truth.append(DIRECTIONS.index(source.direction))
    return np.array(cosines), np.array(truth)


def vocabulary(data: Path) -> list[str]:
    """What each kind of the training clips is called."""
    clips = load_datadir(data / "train")
    return sorted({clip.captions[0] for clip in clips})


def licences(data: Path) -> dict[str, tuple[str, str]]:
    """Clip -> split and licence, as stage 0 wrote them."""
    lines = (data / "SOURCES.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return {clip: (split, licence) for clip, split, licence, *_ in cells[1:]}


def examples(data: Path, dump: Path) -> Iterator[tuple[np.ndarray, tuple[Clip, ...]]]:
    """Scenes of two sounds at two places (2, samples), and the clips in the public domain that they are made of."""
    corpus = Corpus(data, dump)
    free = {clip for clip, (split, licence) in licences(data).items() if licence == "CC0" and split == "train"}
    bank, pack = corpus.bank("train"), corpus.pack("train")
    room = bank.rooms([corpus.simu.scenes.rooms])[0]
    rows = [int(bank.rows(room, direction)[0]) for direction in EXAMPLE]
    clips = [clip for clip in load_datadir(data / "train") if clip.id in free]
    for pair in product(*([clip for clip in clips if clip.labels[0] == label] for label in EXAMPLE.values())):
        at = [(row, direction, float(bank.table.azimuth[row])) for row, direction in zip(rows, EXAMPLE, strict=True)]
        sources = [Source(c.id, c.captions[0], c.labels, *where, 0.0, 0.0) for c, where in zip(pair, at, strict=True)]
        yield (
            render(Scene("example", room, tuple(sources)), pack, bank, round(EXAMPLE_SECONDS * SAMPLE_RATE)).numpy(),
            pair,
        )


def example(model: SpatialCLAP, data: Path, dump: Path) -> tuple[np.ndarray, list[str]]:
    """The first of `examples` in which a model names both kinds of sounds (samples, 2), and its clips."""
    kinds = {clip.captions[0]: clip.labels for clip in load_datadir(data / "train")}
    for wave, clips in examples(data, dump):
        wave *= PEAK / np.abs(wave).max()
        named = [model.classify(wave, model.vocabulary, where=where, sampling_rate=SAMPLE_RATE)[0] for where in EXAMPLE]
        if all(kind in kinds[best["label"]] for kind, best in zip(EXAMPLE.values(), named, strict=True)):
            return wave.T, [clip.id for clip in clips]
    raise DataError(f"{data}: no clips of {' and '.join(EXAMPLE.values())} under CC0 that the model names")


def only_tables(text: str) -> str:
    """What a card can have of a page: its tables, without models that there are not, and what n is."""
    lines = (line for line in text.splitlines() if line.startswith(("|", "n: ")) or not line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(one for one in lines if not one.startswith(NO_MODELS))).strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("training", type=Path, help="such as exp/released/released/seed0/named_scl")
    parser.add_argument("twin", type=Path, help="the same, trained without the clips of its figures")
    parser.add_argument(
        "--tables", type=Path, required=True, help="folder of the twin's binding.md, arrays.md, kinds.md"
    )
    parser.add_argument("--out", type=Path, default=Path("spclap/released"), help="model directory, written")
    args = parser.parse_args()
    settings = arguments(args.training)
    corpus = Corpus(settings.data, settings.dump)
    temperature = fit_temperature(*direction_cosines(args.training, "valid"))
    error = calibration_error(
        *direction_cosines(args.twin, "test"), fit_temperature(*direction_cosines(args.twin, "valid"))
    )
    logging.info("temperature %.4f; the twin's expected calibration error on test scenes: %.3f", temperature, error)
    about = {
        "training": "egs/released/release.sh", "seed": settings.seed, "arrays": learned_arrays(settings),
        "scene_seconds": settings.seconds[0], "calibration": {"temperature": temperature, "error": error},
    }  # fmt: skip
    save_trained(load_training(args.training, corpus).clap, clap_conf(settings), args.out, **about)
    (args.out / "vocabulary.txt").write_text("\n".join(vocabulary(corpus.data)) + "\n", encoding="utf-8")
    write_sums(args.out)
    wave, made_of = example(SpatialCLAP.from_pretrained(args.out), corpus.data, corpus.dump)
    soundfile.write(args.out / "example.flac", wave, SAMPLE_RATE, subtype="PCM_16")
    sources = (corpus.data / "SOURCES.md").read_text(encoding="utf-8")
    (args.out / "SOURCES.md").write_text(sources, encoding="utf-8")
    counts = Counter(licence for split, licence in licences(corpus.data).values() if split != "test")
    pages = Environment(loader=FileSystemLoader(LOCAL), undefined=StrictUndefined, trim_blocks=True)
    tables = {path.stem: only_tables(path.read_text(encoding="utf-8")) for path in args.tables.glob("*.md")}
    card = pages.get_template("card.md").render(
        about=about, epochs=settings.max_epoch, licences=counts, example=made_of, tables=tables
    )
    (args.out / "README.md").write_text(card + "\n", encoding="utf-8")
    write_sums(args.out)


if __name__ == "__main__":
    run_main(main)
