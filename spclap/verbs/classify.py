"""spclap classify: which sounds are heard, and where; or which are at one place."""

import argparse

from spclap.errors import Misuse
from spclap.space.directions import DIRECTIONS
from spclap.verbs import given


def add(commands: argparse._SubParsersAction) -> None:
    example = f'{given.SHIPPED} --what "a dog barks" "rain falls" "a bell rings" --where left'
    verb = given.add_verb(commands, "classify", "which sounds are heard, and where", example, run)
    given.add_files(verb)
    given.add_model(verb)
    given.add_what(verb)
    verb.add_argument("--where", choices=DIRECTIONS, help="what sounds there, in place of anywhere")
    verb.add_argument("--template", default="{}", help='words around a sound, such as "the sound of {}"')
    verb.add_argument("--top", type=int, default=5, help="sounds shown of each file")


def run(args: argparse.Namespace) -> None:
    from spclap.zero_shot import labels_of, placed

    with given.sensible():
        given.require_words(args.what or [], "--what")
        placed(labels_of(args.what or ["a dog"]), args.template)
        if args.top < 1:
            raise Misuse(f"--top is {args.top}; it must be 1 or more")
    model = given.load(args)
    labels = model.vocabulary if args.what is None else args.what

    def work(file) -> list[dict]:
        return model.classify(file, labels, args.where, args.template, array=args.array)[: args.top]

    done = given.each(args.files, work, args.strict)
    if args.json:
        given.print_json([{"file": str(file), "sounds": rows} for file, rows in done])
    else:
        print_sounds(done)
    given.require_all(done, args.files)


def print_sounds(done: list) -> None:
    """A Markdown table, a row per sound."""
    from spclap.evaluate.markdown import table

    rows = [
        [given.shown(file), f"{row['score']:.3f}", given.shown(row["label"]), row["where"]]
        for file, found in done
        for row in found
    ]
    print(table(["file", "score", "sound", "where"], rows))
