"""spclap score: does a model know which sound is where? Any model, on the scenes of a corpus or a frozen set."""

import argparse
import logging
from pathlib import Path

from spclap.data.datadir import SPLITS
from spclap.errors import DataError

EXAMPLE = "example: spclap score exp/mini/seed0/scl spclap.evaluate.adapters:Cues --scenes sets/ortf --out scores/ortf"


def add(commands: argparse._SubParsersAction) -> None:
    verb = commands.add_parser("score", help="which sound is where, of any model, with controls", epilog=EXAMPLE)
    what = "training folder, model directory, folder or cached hub id of transformers' CLAP, or module:function"
    verb.add_argument("models", nargs="*", metavar="MODEL", help=f"{what}; the first is compared with the others")
    verb.add_argument("--vectors", type=Path, nargs="+", default=[], help="npz of audio and text: docs/benchmark.md")
    verb.add_argument("--scenes", type=Path, help="folder that `spclap make-scenes` wrote")
    verb.add_argument("--data", type=Path, help="data/<corpus>: its fixed scenes, where --scenes is not given")
    verb.add_argument("--dump", type=Path, help="dump/<corpus>")
    verb.add_argument("--split", default="test", choices=SPLITS)
    verb.add_argument("--out", type=Path, required=True, help="folder: record.json, outcomes.npz, table.md")
    verb.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from spclap.bin import environment
    from spclap.data.files import atomic_write_text
    from spclap.evaluate.benchmarks.scenes import PROTOCOL, outcomes
    from spclap.evaluate.controls import CONTROLS
    from spclap.evaluate.embedder import load_embedder
    from spclap.evaluate.record import recorded, write_record
    from spclap.evaluate.tables import record_tables

    if not (args.models or args.vectors):
        raise DataError("no model; give a MODEL, or --vectors with a file of vectors")
    if (args.scenes is None) == (args.data is None or args.dump is None):
        raise DataError("give either --scenes, or --data and --dump")
    if args.vectors and args.scenes is None:
        raise DataError("--vectors are of a frozen set; give --scenes")
    sets, said = _sets(args)
    models = {name: load_embedder(name, args.device) for name in args.models}
    models |= {str(path): given(path, args.scenes, sets) for path in args.vectors}
    scored = {}
    for name, model in models.items():
        logging.info("scoring %s", name)
        scored[name] = outcomes(model, sets)
    blind = [name for name, control in CONTROLS.items() if control.blind]
    record = recorded(sets, scored, blind, {**said, "protocol": PROTOCOL, "environment": environment()})
    write_record(args.out, record, scored)
    atomic_write_text(args.out / "table.md", text := record_tables(record))
    print(text)


def _sets(args: argparse.Namespace) -> tuple[list, dict]:
    """Sets of scenes, and what they are."""
    from spclap.data.stamp import require_corpus, scenes_digest
    from spclap.model.folders import SUMS, sha256
    from spclap.scene.corpus import Corpus
    from spclap.scene.frozen import RenderedSet, read_frozen

    if args.scenes is not None:
        return read_frozen(args.scenes), {"scenes": str(args.scenes), "sha256": sha256(args.scenes / SUMS)}
    require_corpus(args.data, args.dump)
    corpus = Corpus(args.data, args.dump)
    bank, seconds = corpus.bank(args.split), corpus.simu.scenes.seconds
    sets = [
        RenderedSet.of(f"{size}src", corpus.fixed(args.split, size), corpus, bank, args.split, seconds)
        for size in corpus.fixed_counts(args.split)
    ]
    return sets, {"scenes": f"{args.data}, {args.split}", "sha256": scenes_digest(args.data)}


def given(path: Path, folder: Path, sets: list):
    """Vectors of a file for the scenes and captions of a folder; DataError unless they are as many."""
    import numpy as np

    from spclap.evaluate.benchmarks.scenes import Given
    from spclap.scene.frozen import listed_captions

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
