"""spclap caption: say what sounds where, long files window by window."""

import argparse
from pathlib import Path

from spclap.errors import Misuse
from spclap.verbs import given

NOTHING = "(nothing but noise or silence)"


def add(commands: argparse._SubParsersAction) -> None:
    what = "say what sounds where, long files by window"
    verb = given.add_verb(commands, "caption", what, f"{given.SHIPPED} --beams 4", run)
    given.add_files(verb)
    given.add_model(verb)
    verb.add_argument("--window", type=float, help="s, that of the scenes of training if not given; less is repeated")
    verb.add_argument("--beams", type=int, default=1, help="1: greedy")


def run(args: argparse.Namespace) -> None:
    from spclap.data.audio import require_window

    with given.sensible():
        if args.window is not None:
            require_window(args.window, args.window)
        if args.beams < 1:
            raise Misuse(f"--beams is {args.beams}; it must be 1 or more")
    model = given.load(args)

    def say(file: Path) -> list[tuple]:
        parts = model.caption_windows(file, window=args.window, beams=args.beams, array=args.array)
        return list(parts) if args.json else print_parts(file, list(parts))

    done = given.each(args.files, say, args.strict)
    if args.json:
        keys = ("start", "end", "caption")
        rows = [{"file": str(file), "windows": [dict(zip(keys, part, strict=True)) for part in x]} for file, x in done]
        given.print_json(rows)
    given.require_all(done, args.files)


def print_parts(file: Path, parts: list[tuple]) -> None:
    """A line for each window."""
    for start, end, text in parts:
        when = f" {start:.1f}-{end:.1f} s" if len(parts) > 1 else ""
        print(f"{given.shown(file)}{when}: {NOTHING if text is None else text}")
