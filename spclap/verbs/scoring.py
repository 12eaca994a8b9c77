"""What `spclap score` does."""

import argparse
import json
import logging
from collections.abc import Collection
from functools import partial
from pathlib import Path

import numpy as np
import torch

from spclap.bin import environment
from spclap.data.config import load_config
from spclap.data.files import atomic_write_text
from spclap.data.stamp import corpus_digest, digest, made_once, require_corpus, scenes_digest
from spclap.errors import DataError
from spclap.evaluate import plots
from spclap.evaluate.benchmarks import captions, fixed, places, scenes, table1
from spclap.evaluate.captioning import CaptionConf
from spclap.evaluate.embedder import Embedder
from spclap.evaluate.frozen import FrozenSet, fixed_sets, listed_captions, read_frozen
from spclap.evaluate.protocols import Embeddings
from spclap.evaluate.record import recorded, write_outcomes, write_record
from spclap.evaluate.tables import record_tables
from spclap.model.folders import SUMS, sha256
from spclap.scene.corpus import Corpus
from spclap.verbs.models import load_embedder

Models = dict[str, Embedder]


def score(args: argparse.Namespace) -> None:
    if not (args.models or args.vectors):
        raise DataError("no model; give a MODEL, or --vectors with a file of vectors")
    if (args.scenes is None) == (args.data is None or args.dump is None):
        raise DataError("give either --scenes, or --data and --dump")
    if args.vectors and args.scenes is None:
        raise DataError("--vectors are of a frozen set; give --scenes")
    if args.benchmark != "scenes" and args.scenes is not None:
        raise DataError(f"--benchmark {args.benchmark} draws its own scenes; give --data and --dump, no --scenes")
    corpus, known = None, {}
    if args.scenes is None:
        corpus = Corpus(args.data, args.dump)
        require_corpus(args.data, args.dump)
    if args.benchmark in STAGES:
        return STAGES[args.benchmark](args, corpus)
    models = {name: load_embedder(name, args.device, corpus, known) for name in args.models}
    text = {"scenes": of_scenes, "table1": of_table1, "places": of_places}[args.benchmark](args, models, corpus)
    atomic_write_text(args.out / "table.md", f"{text}\n\n- {made()}\n")
    print(text)


def of_scenes(args: argparse.Namespace, models: Models, corpus: Corpus | None) -> str:
    if corpus is None:
        sets, said = read_frozen(args.scenes), {"scenes": str(args.scenes), "sha256": sha256(args.scenes / SUMS)}
    else:
        sets, said = fixed_sets(corpus), {"scenes": f"{args.data}, test", "sha256": scenes_digest(args.data)}
    scored = {}
    for name, model in (models | {str(path): given(path, args.scenes, sets) for path in args.vectors}).items():
        logging.info("scoring %s", name)
        scored[name] = scenes.outcomes(model, sets)
    record = recorded(sets, scored, {**said, "protocol": scenes.PROTOCOL, "environment": environment()})
    write_record(args.out, record, scored)
    return record_tables(record)


def of_trainings(args: argparse.Namespace, corpus: Corpus) -> None:
    """Stage 5."""
    from spclap.engine.trained import history, same_corpus

    conf, known = load_config(fixed.ScoreConf, *(args.conf or [Path("conf/score.yaml")])), {}
    for exp in map(Path, args.models):
        tasks = trainings(exp, ("clap", "seld"), "model; run stages 3 and 4 (train) first")
        for folder in tasks:
            if not same_corpus(folder, corpus):
                logging.warning("%s was trained before %s was made anew; rerun stages 3 and 4", folder, args.data)
        models = {folder: partial(scorer, folder, task, args.device, corpus, known) for folder, task in tasks.items()}
        fixed.run(exp, models, corpus, conf, args.out / "results.json", environment())
        histories = {folder.name: history(folder) for folder, task in tasks.items() if task == "clap"}
        plots.training_curves(histories, exp / "images" / "training_curves.png")


def trainings(exp: Path, wanted: Collection[str], what: str) -> dict[Path, str]:
    """Finished trainings of these tasks below a folder, with their task; DataError that says what there is none of."""
    from spclap.engine.trained import task_of, trained_folders

    found = {folder: task for folder in trained_folders(exp) if (task := task_of(folder)) in wanted}
    if not found:
        raise DataError(f"{exp}: no trained {what}")
    return found


def scorer(folder: Path, task: str, device: str, corpus: Corpus, known: dict) -> fixed.Scorer:
    """SELD has no text and is asked in a way of its own."""
    from spclap.engine.trained import load_training

    if task == "seld":
        return load_training(folder, corpus, device).outcomes
    return partial(fixed.outcomes, load_embedder(str(folder), device, corpus, known))


def of_captioners(args: argparse.Namespace, corpus: Corpus) -> None:
    """Stage 6."""
    conf = load_config(CaptionConf, *(args.conf or [Path("conf/caption.yaml")]))
    for exp in map(Path, args.models):
        folders = {
            folder.name.removesuffix("_captions"): folder
            for folder in trainings(exp, ("caption",), "captioner; run stage 6 of run.sh")
        }
        said = {name: speak(folder, corpus, conf, False, args.device) for name, folder in folders.items()}
        control = [name for name in said if name in conf.control]
        shuffled = {name: speak(folders[name], corpus, conf, True, args.device) for name in control}
        text = captions.report(said, shuffled, corpus, conf, made())
        atomic_write_text(args.out / "captions.md", text)
        print(text)


def speak(folder: Path, corpus: Corpus, conf: CaptionConf, shuffled: bool, device: str) -> dict[str, str]:
    """Scene id -> caption of all test scenes by a trained captioner, or of other scenes' vectors with `shuffled`.

    They are kept in the captioner's folder, `captions/` and `shuffled/`, for as long as nothing changes.
    """
    from spclap.engine.heard import Hearer
    from spclap.engine.trained import load_training

    def make() -> dict[str, bytes]:
        model, lines = load_training(folder, corpus, device), []
        for sounds in fixed_sets(corpus):
            vectors, texts = Embeddings(Hearer(model.clap, corpus)).hear(sounds).audio, []
            vectors = vectors[np.random.default_rng(0).permutation(len(vectors))] if shuffled else vectors
            for part in torch.from_numpy(vectors).to(model.device).split(64):
                texts += model.captioner.generate(part, conf.beams, conf.max_tokens)
            lines += [json.dumps([scene.id, text]) for scene, text in zip(sounds.scenes, texts, strict=True)]
        return {"captions.jsonl": "".join(f"{line}\n" for line in lines).encode()}

    file = made_once(
        folder / ("shuffled" if shuffled else "captions"), make, model=digest(folder / "done.json"),
        scenes=scenes_digest(corpus.data), corpus=corpus_digest(corpus.data, corpus.dump), beams=conf.beams,
        max_tokens=conf.max_tokens,
    )["captions.jsonl"]  # fmt: skip
    return dict(json.loads(line) for line in file.read_text(encoding="utf-8").splitlines())


def of_table1(args: argparse.Namespace, models: Models, corpus: Corpus) -> str:
    return _of_corpus(args, *table1.run(models, corpus, args.conf or [Path("conf/table1.yaml")]))


def of_places(args: argparse.Namespace, models: Models, corpus: Corpus) -> str:
    conf = args.conf or [Path("conf/places.yaml")]
    return _of_corpus(args, *places.run(models, corpus, conf, args.out, args.nj))


def _of_corpus(args: argparse.Namespace, values: dict[str, np.ndarray], text: str) -> str:
    write_outcomes(args.out, values)
    return f"Models: {' '.join(args.models)}. Sounds: {args.data / 'test'}.\n\n{text}"


def given(path: Path, folder: Path, sets: list[FrozenSet]) -> scenes.Given:
    """Vectors of a file for the scenes and captions of a folder; DataError unless they are as many."""
    names = {"audio": [scene.id for own in sets for scene in own.scenes], "text": listed_captions(folder)}
    try:
        with np.load(path) as stored:
            found = {key: stored[key] for key in names}
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: not an npz of arrays audio and text ({error}); see docs/benchmark.md") from error
    for key, wanted in names.items():
        if found[key].ndim != 2 or len(found[key]) != len(wanted):
            raise DataError(f"{path}: {key} has shape {found[key].shape}, expected ({len(wanted)}, D)")
    return scenes.Given(*(dict(zip(wanted, found[key], strict=True)) for key, wanted in names.items()))


def made() -> str:
    """How figures were made, on a line."""
    return "; ".join(f"{key}: {value}" for key, value in environment().items())


STAGES = {"fixed": of_trainings, "captions": of_captioners}  # these ask all trainings of a folder
