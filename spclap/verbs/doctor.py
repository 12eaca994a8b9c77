"""spclap doctor: what recordings look like: defects, level, and what array heard them."""

import argparse
from dataclasses import asdict

from spclap.verbs import given


def add(commands: argparse._SubParsersAction) -> None:
    what = "what recordings look like: defects, level, and what array heard them"
    verb = given.add_verb(commands, "doctor", what, f"{given.SHIPPED} --direction left", run)
    given.add_files(verb)
    verb.add_argument("--direction", default="", help="where most came from if you know: left, front-left, front, ...")


def run(args: argparse.Namespace) -> None:
    from spclap.data.stream import open_stream
    from spclap.doctor import examine, told
    from spclap.zero_shot import require_direction

    with given.sensible():
        require_direction(args.direction or None)
    done = given.each(args.files, lambda file: examine(open_stream(file), args.direction), args.strict)
    if args.json:
        given.print_json([{"file": str(file), **asdict(report)} for file, report in done])
    else:
        print("\n\n".join(f"{given.shown(file)}\n{told(report)}" for file, report in done))
    given.require_all(done, args.files)
