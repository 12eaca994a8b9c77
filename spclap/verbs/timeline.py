"""spclap timeline: what sounds where, window by window: CSV, JSON and a picture."""

import argparse
import csv
import io
import sys
from dataclasses import asdict, astuple, fields
from pathlib import Path

from spclap.verbs import given


def add(commands: argparse._SubParsersAction) -> None:
    example = f'{given.SHIPPED} --what "a dog barks" "rain falls" --hop 0.5 --picture timeline.png'
    verb = given.add_verb(commands, "timeline", "what sounds where, window by window: CSV and a picture", example, run)
    given.add_file(verb)
    given.add_model(verb)
    given.add_what(verb)
    verb.add_argument("--window", type=float, help="s, that of the scenes of training if not given; less is repeated")
    verb.add_argument("--hop", type=float, help="s from window to window, one after the other if not given")
    verb.add_argument("--csv", type=Path, metavar="FILE", help="CSV, written; on standard output if not given")
    verb.add_argument("--picture", type=Path, metavar="FILE", help="PNG, written")


def run(args: argparse.Namespace) -> None:
    from spclap.data.audio import require_window
    from spclap.data.files import atomic_write_text
    from spclap.timeline import Cell, picture
    from spclap.zero_shot import labels_of

    with given.sensible():
        given.require_words(args.what or [], "--what")
        given.require_outputs(args.csv, args.picture, files=[args.file])
        labels_of(args.what or ["a dog"])
    model = given.load(args)
    with given.sensible():
        window = model.scene_seconds if args.window is None else args.window
        require_window(window, window if args.hop is None else args.hop)
    with given.readable(args.file) as file:
        cells = list(model.timeline(file, args.what, args.window, args.hop, array=args.array))
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(field.name for field in fields(Cell))
    lines.writerows(map(_written, cells))
    if args.picture:
        picture(cells, given.shown(args.file), args.picture)
    if args.csv:
        atomic_write_text(args.csv, text.getvalue())
    if args.json:
        given.print_json([asdict(cell) for cell in cells])
    elif not args.csv:
        sys.stdout.write(text.getvalue())


def _written(cell) -> list:
    """Numbers with three places; nothing where nothing is heard."""
    return [f"{value:.3f}" if isinstance(value, float) else value for value in astuple(cell)]
