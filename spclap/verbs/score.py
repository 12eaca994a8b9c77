"""spclap score: does a model know which sound is where? Any model, on the scenes of a corpus or a frozen set."""

import argparse
import json
import logging
from pathlib import Path

from spclap.errors import DataError

EXAMPLE = "example: spclap score exp/mini/seed0/scl spclap.evaluate.adapters:Cues --scenes sets/ortf --out scores/ortf"


BENCHMARKS = {
    "scenes": "binding on a frozen set or on the fixed scenes of a corpus, with controls and curves",
    "table1": "the protocols of the paper's Table 1, beside its figures (conf/table1.yaml)",
    "places": "other arrays and rooms, noise, pauses, measured heads, told and not (conf/places.yaml)",
}


def add(commands: argparse._SubParsersAction) -> None:
    verb = commands.add_parser("score", help="which sound is where, of any model, with controls", epilog=EXAMPLE)
    what = "training folder, model directory, folder or cached hub id of transformers' CLAP, or module:function"
    verb.add_argument("models", nargs="*", metavar="MODEL", help=f"{what}; the first is compared with the others")
    told = "; ".join(f"{name}: {text}" for name, text in BENCHMARKS.items())
    verb.add_argument("--benchmark", default="scenes", choices=BENCHMARKS, help=told)
    verb.add_argument("--vectors", type=Path, nargs="+", default=[], help="npz of audio and text: docs/benchmark.md")
    verb.add_argument("--scenes", type=Path, help="folder that `spclap make-scenes` wrote")
    verb.add_argument("--data", type=Path, help="data/<corpus>: its test clips and fixed scenes")
    verb.add_argument("--dump", type=Path, help="dump/<corpus>")
    verb.add_argument("--conf", type=Path, nargs="+", help="YAML files of table1 and places, later ones on top")
    verb.add_argument("--out", type=Path, required=True, help="folder: record.json, outcomes.npz, table.md")
    verb.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    verb.add_argument("--nj", type=int, default=2, help="processes that simulate rooms of places")
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from spclap.bin import environment
    from spclap.data.files import atomic_write_text
    from spclap.scene.corpus import Corpus
    from spclap.verbs.models import load_embedder

    if not (args.models or args.vectors):
        raise DataError("no model; give a MODEL, or --vectors with a file of vectors")
    if (args.scenes is None) == (args.data is None or args.dump is None):
        raise DataError("give either --scenes, or --data and --dump")
    if args.vectors and args.scenes is None:
        raise DataError("--vectors are of a frozen set; give --scenes")
    if args.benchmark != "scenes" and args.scenes is not None:
        raise DataError(f"--benchmark {args.benchmark} draws its own scenes; give --data and --dump, no --scenes")
    corpus = None if args.scenes is not None else Corpus(args.data, args.dump)
    models = {name: load_embedder(name, args.device, corpus) for name in args.models}
    text = _binding(args, models) if args.benchmark == "scenes" else _of_corpus(args, models)
    made = "; ".join(f"{key}: {value}" for key, value in environment().items())
    atomic_write_text(args.out / "table.md", f"{text}\n\n- {made}\n")
    print(text)


def _binding(args: argparse.Namespace, models: dict) -> str:
    from spclap.bin import environment
    from spclap.evaluate.benchmarks.scenes import PROTOCOL, outcomes
    from spclap.evaluate.controls import CONTROLS
    from spclap.evaluate.record import recorded, write_record
    from spclap.evaluate.tables import record_tables

    sets, said = _sets(args)
    models |= {str(path): given(path, args.scenes, sets) for path in args.vectors}
    scored = {}
    for name, model in models.items():
        logging.info("scoring %s", name)
        scored[name] = outcomes(model, sets)
    blind = [name for name, control in CONTROLS.items() if control.blind]
    record = recorded(sets, scored, blind, {**said, "protocol": PROTOCOL, "environment": environment()})
    write_record(args.out, record, scored)
    return record_tables(record)


def _of_corpus(args: argparse.Namespace, models: dict) -> str:
    from spclap.data.files import atomic_write_text
    from spclap.data.stamp import require_corpus
    from spclap.evaluate.benchmarks import places, table1
    from spclap.scene.corpus import Corpus

    require_corpus(args.data, args.dump)
    corpus, conf = Corpus(args.data, args.dump), args.conf or [Path(f"conf/{args.benchmark}.yaml")]
    if args.benchmark == "table1":
        kept, text = table1.run(models, {name: _fusion(name) for name in args.models}, corpus, conf)
    else:
        kept, text = places.run(models, corpus, conf, args.out, args.nj)
    atomic_write_text(args.out / "outcomes.json", json.dumps(kept, default=lambda values: values.tolist()) + "\n")
    return f"Models: {' '.join(args.models)}. Sounds: {args.data / 'test'}.\n\n{text}"


def _fusion(name: str) -> str:
    """Of a training folder, or nothing."""
    from spclap.engine.trained import arguments

    return arguments(Path(name)).fusion if (Path(name) / "done.json").is_file() else ""


def _sets(args: argparse.Namespace) -> tuple[list, dict]:
    """Sets of scenes, and what they are."""
    from spclap.data.stamp import require_corpus, scenes_digest
    from spclap.evaluate.frozen import RenderedSet, read_frozen
    from spclap.model.folders import SUMS, sha256
    from spclap.scene.corpus import Corpus

    if args.scenes is not None:
        return read_frozen(args.scenes), {"scenes": str(args.scenes), "sha256": sha256(args.scenes / SUMS)}
    require_corpus(args.data, args.dump)
    corpus = Corpus(args.data, args.dump)
    bank, seconds = corpus.bank("test"), corpus.simu.scenes.seconds
    sets = [
        RenderedSet.of(f"{size}src", corpus.fixed("test", size), corpus, bank, "test", seconds)
        for size in corpus.fixed_counts("test")
    ]
    return sets, {"scenes": f"{args.data}, test", "sha256": scenes_digest(args.data)}


def given(path: Path, folder: Path, sets: list):
    """Vectors of a file for the scenes and captions of a folder; DataError unless they are as many."""
    import numpy as np

    from spclap.evaluate.benchmarks.scenes import Given
    from spclap.evaluate.frozen import listed_captions

    names = {"audio": [scene.id for own in sets for scene in own.scenes], "text": listed_captions(folder)}
    try:
        with np.load(path) as stored:
            found = {key: stored[key] for key in names}
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: not an npz of arrays audio and text ({error}); see docs/benchmark.md") from error
    for key, wanted in names.items():
        if found[key].ndim != 2 or len(found[key]) != len(wanted):
            raise DataError(f"{path}: {key} has shape {found[key].shape}, expected ({len(wanted)}, D)")
    return Given(*(dict(zip(wanted, found[key], strict=True)) for key, wanted in names.items()))
