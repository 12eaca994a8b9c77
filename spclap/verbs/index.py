"""spclap index: vectors of all recordings in a folder, to be searched; only what is new is heard."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from spclap.errors import DataError
from spclap.space.array import FORMS

EXAMPLE = (
    "example: spclap index recordings --out recordings.index && spclap search recordings.index 'a dog on the left'"
)


def add(commands: argparse._SubParsersAction) -> None:
    what = "hear a folder of recordings once, to search in them"
    verb = commands.add_parser("index", help=what, epilog=EXAMPLE)
    verb.add_argument("folder", type=Path, metavar="DIR", help="stereo recordings, folders within too")
    verb.add_argument("--out", type=Path, required=True, metavar="INDEX_DIR", help="index, made or brought up to date")
    then = "that of the index if not given, at first"
    verb.add_argument("--model", type=Path, help=f"model directory; {then} the released model")
    verb.add_argument("--array", help=f"what heard the recordings; {then} the model's default: {FORMS}")
    verb.add_argument("--window", type=float, help=f"s; {then} that of the scenes of training")
    verb.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    verb.add_argument("--json", action="store_true", help="counts, and why files are left out")
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from spclap.search import update
    from spclap.space.array import array_of
    from spclap.verbs.given import sensible, shown

    if args.array is not None:
        with sensible():
            array_of(args.array)
    report = update(args.out, args.folder, args.model, args.array, args.window, args.device)
    for reason in report.bad.values():
        print(f"left out: {shown(reason)}", file=sys.stderr)
    if args.json:
        print(json.dumps(asdict(report), indent=1))
    else:
        print(
            f"{shown(args.out)}: {report.files} recordings, {report.windows} windows; {report.heard} heard now, "
            f"{report.gone} gone, {len(report.bad)} left out"
        )
    if report.bad:
        raise DataError(f"{len(report.bad)} of {report.files} recordings are left out, see above; the others are done")
