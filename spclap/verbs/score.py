"""spclap score: does a model know which sound is where? Any model, on the scenes of a corpus or a frozen set."""

import argparse
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from spclap.errors import DataError

EXAMPLE = "example: spclap score exp/mini/seed0/scl spclap.evaluate.adapters:Cues --scenes sets/ortf --out scores/ortf"
BENCHMARKS = {
    "scenes": "binding on a frozen set or on the fixed scenes of a corpus, with controls and curves",
    "fixed": "stage 5: all trainings of a MODEL such as exp/mini/seed0, paired, over seeds (conf/score.yaml)",
    "table1": "the protocols of the paper's Table 1, beside its figures (conf/table1.yaml)",
    "places": "other arrays and rooms, noise, pauses, measured heads, told and not (conf/places.yaml)",
}
CONFS = {"fixed": "score"}  # of a benchmark whose config has another name


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
    verb.add_argument("--conf", type=Path, nargs="+", help="YAML files of a benchmark, later ones on top")
    out = "folder: record.json, outcomes.npz, table.md; of fixed: results.json, added to"
    verb.add_argument("--out", type=Path, required=True, help=out)
    verb.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    verb.add_argument("--nj", type=int, default=2, help="processes that simulate rooms of places")
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from spclap.bin import environment, require_gpus
    from spclap.data.files import atomic_write_text
    from spclap.data.stamp import require_corpus
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
    require_gpus(int(args.device != "cpu"))
    corpus = None if args.scenes is not None else Corpus(args.data, args.dump)
    if corpus is not None:
        require_corpus(args.data, args.dump)
    args.conf = args.conf or [Path(f"conf/{CONFS.get(args.benchmark, args.benchmark)}.yaml")]
    if args.benchmark == "fixed":
        return _fixed(args, corpus)
    known: dict = {}  # what frozen layers have read, of all models
    models = {name: load_embedder(name, args.device, corpus, known) for name in args.models}
    text = {"scenes": _binding, "table1": _table1, "places": _places}[args.benchmark](args, models, corpus)
    made = "; ".join(f"{key}: {value}" for key, value in environment().items())
    atomic_write_text(args.out / "table.md", f"{text}\n\n- {made}\n")
    print(text)


def _binding(args: argparse.Namespace, models: dict, corpus) -> str:
    from spclap.bin import environment
    from spclap.data.stamp import scenes_digest
    from spclap.evaluate.benchmarks.scenes import PROTOCOL, outcomes
    from spclap.evaluate.frozen import fixed_sets, read_frozen
    from spclap.evaluate.record import recorded, write_record
    from spclap.evaluate.tables import record_tables
    from spclap.model.folders import SUMS, sha256

    if corpus is None:
        sets, said = read_frozen(args.scenes), {"scenes": str(args.scenes), "sha256": sha256(args.scenes / SUMS)}
    else:
        sets, said = fixed_sets(corpus), {"scenes": f"{args.data}, test", "sha256": scenes_digest(args.data)}
    models |= {str(path): given(path, args.scenes, sets) for path in args.vectors}
    scored = {}
    for name, model in models.items():
        logging.info("scoring %s", name)
        scored[name] = outcomes(model, sets)
    record = recorded(sets, scored, {**said, "protocol": PROTOCOL, "environment": environment()})
    write_record(args.out, record, scored)
    return record_tables(record)


def _fixed(args: argparse.Namespace, corpus) -> None:
    from spclap.bin import environment
    from spclap.data.config import load_config
    from spclap.engine.trained import history, same_corpus, task_of, trained_folders
    from spclap.evaluate import plots
    from spclap.evaluate.benchmarks import fixed

    conf, known = load_config(fixed.ScoreConf, *args.conf), {}
    for exp in map(Path, args.models):
        tasks = {folder: task for folder in trained_folders(exp) if (task := task_of(folder)) in ("clap", "seld")}
        if not tasks:
            raise DataError(f"{exp}: no trained model; run stages 3 and 4 (train) first")
        for folder in tasks:
            if not same_corpus(folder, corpus):
                logging.warning("%s was trained before %s was made anew; rerun stages 3 and 4", folder, args.data)
        models = {folder: partial(_scorer, folder, task, args.device, corpus, known) for folder, task in tasks.items()}
        fixed.run(exp, models, corpus, conf, args.out / "results.json", environment())
        histories = {folder.name: history(folder) for folder, task in tasks.items() if task == "clap"}
        plots.training_curves(histories, exp / "images" / "training_curves.png")
        logging.info("%s: figures of %s", args.out / "results.json", exp)


def _scorer(folder: Path, task: str, device: str, corpus, known: dict) -> Callable:
    """What gives the outcomes of a training: SELD has no text and is asked in a way of its own."""
    from spclap.engine.trained import load_training
    from spclap.evaluate.benchmarks.fixed import outcomes
    from spclap.verbs.models import load_embedder

    if task == "seld":
        return load_training(folder, corpus, int(device != "cpu"))[0].outcomes
    return partial(outcomes, load_embedder(str(folder), device, corpus, known))


def _table1(args: argparse.Namespace, models: dict, corpus) -> str:
    from spclap.engine.trained import arguments
    from spclap.evaluate.benchmarks import table1
    from spclap.evaluate.record import write_outcomes

    trained = [name for name in args.models if (Path(name) / "done.json").is_file()]
    values, text = table1.run(models, {name: arguments(Path(name)).fusion for name in trained}, corpus, args.conf)
    write_outcomes(args.out, values)
    return _of_corpus(args, text)


def _places(args: argparse.Namespace, models: dict, corpus) -> str:
    from spclap.evaluate.benchmarks import places
    from spclap.evaluate.record import write_outcomes

    values, text = places.run(models, corpus, args.conf, args.out, args.nj)
    write_outcomes(args.out, values)
    return _of_corpus(args, text)


def _of_corpus(args: argparse.Namespace, text: str) -> str:
    return f"Models: {' '.join(args.models)}. Sounds: {args.data / 'test'}.\n\n{text}"


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
