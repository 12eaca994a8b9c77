"""spclap config: what can be trained, with which settings, each with its file."""

import argparse
import sys
from contextlib import redirect_stdout

from spclap.bin.recipe import add_layers, recipe_of


def add(commands: argparse._SubParsersAction) -> None:
    what = "what can be trained, with which settings, each with its file"
    config = commands.add_parser("config", help=what, epilog="example: spclap config show scl")
    ways = config.add_subparsers(required=True, metavar="list|show")
    verb = ways.add_parser("list", help="every training that conf/ describes")
    add_layers(verb)
    verb.set_defaults(run=listed)
    what = "each key of a training, its value and the file that it comes from"
    verb = ways.add_parser("show", help=what, epilog="behind --: options of ESPnet2, as in run.sh's --train_args")
    verb.add_argument("tag", help="name of a training, such as scl or concat_seld")
    add_layers(verb)
    verb.set_defaults(run=show)


def listed(args: argparse.Namespace) -> None:
    from spclap.recipe.show import listing

    print(listing(recipe_of(args)), end="")


def show(args: argparse.Namespace) -> None:
    from spclap.bin.train import explained

    recipe = recipe_of(args)
    run = recipe.run(args.tag)
    with redirect_stdout(sys.stderr):  # espnet says on stdout what it did not find
        text = explained(run, recipe.config(*run.names), args.options)
    print(text, end="")
