"""spclap export: a finished training as a model directory."""

import argparse
from pathlib import Path


def add(commands: argparse._SubParsersAction) -> None:
    example = "example: spclap export exp/mini/seed0/scl my_model"
    verb = commands.add_parser("export", help="a finished training as a model directory", epilog=example)
    verb.add_argument("training", type=Path, help="such as exp/mini/seed0/scl")
    verb.add_argument("out", type=Path, help="model directory, written")
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from spclap.engine.trained import export

    export(args.training, args.out)
