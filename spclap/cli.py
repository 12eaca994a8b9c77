"""The `spclap` command."""

import argparse
import sys

from spclap.bin import run_main
from spclap.errors import Misuse
from spclap.verbs import (
    caption,
    classify,
    config,
    demo,
    doctor,
    embed,
    export,
    index,
    locate,
    make_scenes,
    official,
    report,
    score,
    search,
    timeline,
)

VERBS = (
    embed,
    classify,
    locate,
    timeline,
    caption,
    index,
    search,
    demo,
    doctor,
    make_scenes,
    score,
    report,
    export,
    official,
    config,
)


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(prog="spclap", description=__doc__)
    commands = main.add_subparsers(required=True, metavar="COMMAND")
    for verb in VERBS:
        verb.add(commands)
    return main


def main() -> None:
    def chosen() -> None:
        words = sys.argv[1:]
        cut = words.index("--") if words[:1] == ["config"] and "--" in words else len(words)
        args = parser().parse_args(words[:cut])
        args.options = words[cut + 1 :]
        try:
            args.run(args)
        except Misuse as error:
            print(f"error: {error}; `spclap {words[0]} --help` has an example", file=sys.stderr)
            sys.exit(2)

    run_main(chosen)


if __name__ == "__main__":
    main()
