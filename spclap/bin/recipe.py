"""What run.sh asks: the files of a config, and the trainings of a stage. Imports nothing that takes seconds."""

import argparse
from pathlib import Path

from spclap.bin import run_main
from spclap.recipe.compose import Recipe


def add_layers(parser: argparse.ArgumentParser) -> None:
    """Options that name the folders of a recipe."""
    parser.add_argument("--conf", type=Path, default=Path("conf"), help="folder of the base configs")
    parser.add_argument("--corpus", default="", help="egs/<corpus>/conf is laid over them")
    parser.add_argument("--conf_overlay", type=Path, help="folder of YAML files laid over those of the same name")


def recipe_of(args: argparse.Namespace) -> Recipe:
    return Recipe(args.conf, args.corpus, args.conf_overlay)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    files = commands.add_parser("files", help="config files of a name such as simu, later ones on top")
    files.add_argument("name")
    trainings = commands.add_parser("trainings", help="a line for each: its name, and the one it starts from if any")
    trainings.add_argument("stage", type=int, choices=(3, 4, 6))
    trainings.add_argument("--model", default="")
    trainings.add_argument("--ablation", default="")
    for command in (files, trainings):
        add_layers(command)
    args = parser.parse_args()
    if args.what == "files":
        print(*recipe_of(args).files(args.name), sep="\n")
    else:
        for run in recipe_of(args).trainings(args.stage, args.model, args.ablation):
            print(run.tag, run.start)


if __name__ == "__main__":
    run_main(main)
