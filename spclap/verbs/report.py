"""spclap report: what `spclap score` found, as one page to look at and listen to."""

import argparse
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spclap.errors import DataError

EXAMPLE = "example: spclap report scores/ortf --scenes sets/ortf"


def add(commands: argparse._SubParsersAction) -> None:
    what = "a scoring as one HTML page that needs nothing else: figures, controls, curves, examples to listen to"
    verb = commands.add_parser("report", help=what, epilog=EXAMPLE)
    verb.add_argument("folder", type=Path, metavar="DIR", help="what `spclap score --out` wrote")
    found = "the set that was scored, for recordings and true captions; where the record says it is, if not given"
    verb.add_argument("--scenes", type=Path, metavar="SET", help=found)
    verb.add_argument("--out", type=Path, metavar="FILE", help="page, written; DIR/report.html if not given")
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from spclap.data.files import atomic_write_text
    from spclap.evaluate.page import AUDIO_BYTES, heard, page, ranked_scenes
    from spclap.evaluate.record import read_record

    record = read_record(args.folder)
    out = args.folder / "report.html" if args.out is None else args.out
    require_own(out)
    with _whole(args.folder / "record.json"):
        sets, silent = _sets(args.scenes, record)
        text = page(record, heard(sets, ranked_scenes(record), AUDIO_BYTES), silent)
    atomic_write_text(out, text)
    logging.info("%s: %.1f MB", out, len(text) / 1e6)


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """DataError for a record that lacks what a page is made of."""
    from jinja2 import UndefinedError

    try:
        yield
    except DataError:
        raise
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, UndefinedError) as error:
        raise DataError(f"{path}: lacks something or has it damaged ({error!r}); score again") from error


def require_own(out: Path) -> None:
    """DataError if something is there that is no page of ours."""
    from spclap.evaluate.page import MARK

    if out.is_dir():
        raise DataError(f"{out}: is a folder; give a file with --out")
    if out.exists():
        with out.open("rb") as file:
            if MARK.encode() not in file.read(1024):
                raise DataError(f"{out}: is there already, and no page of `spclap report`; give another --out")


def _sets(folder: Path | None, record: dict) -> tuple[list, str]:
    """The sets that a record is of, and why there are none: DataError only for a folder that was asked for."""
    if folder is not None:
        return _scored(folder, record), ""
    folder = Path(record["about"]["scenes"])
    if not (folder / "config.yaml").is_file():
        return [], f"{folder} is no set of scenes that is here; give --scenes"
    try:
        return _scored(folder, record), ""
    except DataError as error:
        return [], str(error)


def _scored(folder: Path, record: dict) -> list:
    """The sets of a folder; DataError unless it is the one that was scored."""
    from spclap.evaluate.frozen import read_frozen
    from spclap.model.folders import SUMS, sha256

    sets = read_frozen(folder)
    if (digest := sha256(folder / SUMS)) != record["about"]["sha256"]:
        raise DataError(
            f"{folder}: {SUMS} has SHA-256 {digest[:12]}..., scored was {str(record['about']['sha256'])[:12]}...; give "
            f"the set that was scored, or score this one"
        )
    return sets
