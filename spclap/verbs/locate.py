"""spclap locate: where a sound is, with probabilities."""

import argparse

from spclap.space.directions import DIRECTIONS
from spclap.verbs import given


def add(commands: argparse._SubParsersAction) -> None:
    example = f'{given.SHIPPED} --what "a dog barks"'
    verb = given.add_verb(commands, "locate", "where sounds are, with probabilities", example, run)
    given.add_files(verb)
    given.add_model(verb)
    given.add_what(verb, required=True)


def run(args: argparse.Namespace) -> None:
    from spclap.zero_shot import labels_of

    with given.sensible():
        given.require_words(args.what, "--what")
        labels_of(args.what)
    model = given.load(args)

    def work(file) -> list[dict]:
        return model.locate(file, args.what, array=args.array)

    done = given.each(args.files, work, args.strict)
    if args.json:
        found = [{"file": str(file), "sounds": dict(zip(args.what, rows, strict=True))} for file, rows in done]
        given.print_json(found)
    else:
        print_places(done, args.what)
    given.require_all(done, args.files)


def print_places(done: list, what: list[str]) -> None:
    """A Markdown table of percents, a row per file and sound."""
    from spclap.evaluate.markdown import table

    rows = [
        [given.shown(file), given.shown(sound), *(f"{100 * row[direction]:.0f}" for direction in DIRECTIONS)]
        for file, found in done
        for sound, row in zip(what, found, strict=True)
    ]
    print(table(["file", "sound", *DIRECTIONS], rows))
