"""spclap score: does a model know which sound is where? Any model, on the scenes of a corpus or a frozen set."""

import argparse
from pathlib import Path

EXAMPLE = "example: spclap score exp/mini/seed0/scl spclap.evaluate.adapters:Cues --scenes sets/ortf --out scores/ortf"
BENCHMARKS = {
    "scenes": "binding on a frozen set or on the fixed scenes of a corpus, with controls and curves",
    "fixed": "stage 5: all trainings of a MODEL such as exp/mini/seed0, paired, over seeds (conf/score.yaml)",
    "captions": "stage 6: what the captioners of a MODEL such as exp/mini/seed0 say (conf/caption.yaml)",
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
    verb.add_argument("--conf", type=Path, nargs="+", help="YAML files of a benchmark, later ones on top")
    out = "folder: record.json, outcomes.npz, table.md; of fixed: results.json, added to; of captions: captions.md"
    verb.add_argument("--out", type=Path, required=True, help=out)
    verb.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    verb.add_argument("--nj", type=int, default=2, help="processes that simulate rooms of places")
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from spclap.verbs.scoring import score  # here, so that other verbs need not wait for torch

    score(args)
