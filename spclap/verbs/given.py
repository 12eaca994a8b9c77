"""What verbs have in common: the model, the recordings and the words of a command line, and what comes of them."""

import argparse
import json
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spclap.data.progress import progress
from spclap.errors import DataError, Misuse
from spclap.model.packaged import EXAMPLE
from spclap.space.array import FORMS

if TYPE_CHECKING:
    from spclap.inference import SpatialCLAP

SHIPPED = shlex.quote(str(EXAMPLE))  # for examples that can be copied
STDIN = Path("-")
RECORDING = {
    "type": Path,
    "metavar": "FILE",
    "help": "stereo recording, channel 0 left; - for a WAV or FLAC on standard input",
}
ENDS = "exit code: 0; 1 when something is wrong with a file; 2 when something is wrong with the command"


def add_verb(
    commands: argparse._SubParsersAction, name: str, what: str, example: str, run: Callable
) -> argparse.ArgumentParser:
    """A verb whose help ends with an example to copy."""
    form = argparse.RawDescriptionHelpFormatter
    text = f"{ENDS}\nexample: spclap {name} {example}"
    verb = commands.add_parser(name, help=what, description=what, epilog=text, formatter_class=form)
    verb.set_defaults(run=run)
    return verb


def add_files(verb: argparse.ArgumentParser, count: str = "+") -> None:
    """Files to listen to, as many as `count` of argparse says, and what is to be done with them."""
    verb.add_argument("files", nargs=count, **RECORDING)
    verb.add_argument("--strict", action="store_true", help="stop at the first bad file")
    add_json(verb)


def add_file(verb: argparse.ArgumentParser) -> None:
    """One file to listen to."""
    verb.add_argument("file", **RECORDING)
    add_json(verb)


def add_json(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--json", action="store_true", help="JSON on standard output")


def add_model(verb: argparse.ArgumentParser) -> None:
    """The model that listens, and what it is told."""
    what = "model directory, or a name on the hub such as user/model; the released model if not given"
    verb.add_argument("--model", metavar="NAME", help=what)
    verb.add_argument("--revision", help="of a model on the hub: branch, tag or commit")
    verb.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    verb.add_argument("--array", help=f"what heard the recordings, the model's default if not given: {FORMS}")


def add_what(verb: argparse.ArgumentParser, required: bool = False) -> None:
    what = "sounds to look for, behind the files"
    known = "" if required else "; those that the model lists if not given"
    verb.add_argument("--what", nargs="+", metavar="SOUND", required=required, help=what + known)


def load(args: argparse.Namespace) -> "SpatialCLAP":
    """The model of a command line; Misuse for an array that it cannot be told."""
    from spclap.inference import SpatialCLAP

    model = SpatialCLAP.from_pretrained(args.model, args.device, args.revision)
    with sensible():
        args.array = model.told(args.array)
    return model


def require_words(words: Sequence[str], option: str) -> None:
    """Misuse for files that stand behind an option which takes words."""
    from spclap.data.stream import SUFFIXES

    for word in words:
        if Path(word).suffix.lower() in SUFFIXES or os.path.isfile(word):
            raise Misuse(f"{option} takes words, and {shown(word)} is a file; put files before {option}")


def require_outputs(*outputs: Path | None, files: Sequence[Path] = ()) -> None:
    """Misuse for a file to be written that is a folder, or may be a recording of the user's."""
    from spclap.data.stream import SUFFIXES

    for path in filter(None, outputs):
        if path.is_dir():
            raise Misuse(f"{shown(path)}: is a folder; give a file in it")
        if path.suffix.lower() in SUFFIXES or any(
            path.exists() and file.exists() and path.samefile(file) for file in files
        ):
            raise Misuse(f"{shown(path)} is a recording, which would be overwritten; give another name")


@contextmanager
def sensible() -> Iterator[None]:
    """What is wrong inside is wrong with the command line."""
    try:
        yield
    except Misuse:
        raise
    except DataError as error:
        raise Misuse(str(error)) from error


def shown(name: object) -> str:
    """A file name or text as one line that every terminal can print."""
    text = os.fsencode(str(name)).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@contextmanager
def readable(file: Path) -> Iterator[Path]:
    """A file, or what comes on standard input as one; a DataError inside says so."""
    if file != STDIN:
        yield file
        return
    with tempfile.TemporaryDirectory(prefix="spclap-") as folder:
        spool = Path(folder) / "standard input"  # as warnings call it
        with spool.open("wb") as target:
            shutil.copyfileobj(sys.stdin.buffer, target)
        try:
            yield spool
        except DataError as error:
            raise DataError(str(error).replace(str(spool), "standard input")) from error


def each(files: Sequence[Path], work: Callable[[Path], Any], strict: bool) -> list[tuple[Path, Any]]:
    """Files and what `work` makes of each, without those that it refuses, which are listed on stderr; DataError at the
    first of them if `strict`, and if none is left."""
    done, bad = [], []
    for file in progress(files, desc="recordings", unit="file"):
        try:
            with readable(file) as path:
                done.append((file, work(path)))
        except DataError as error:
            if strict or len(files) == 1:
                raise
            bad.append(error)
    for error in bad:
        print(f"left out: {shown(error)}", file=sys.stderr)
    if bad and not done:
        raise DataError(f"none of {len(files)} files can be used, see above")
    return done


def require_all(done: list, files: Sequence[Path]) -> None:
    """DataError unless all files are done."""
    if len(done) < len(files):
        raise DataError(f"{len(files) - len(done)} of {len(files)} files are left out, see above; the others are done")


def print_json(found: object) -> None:
    print(json.dumps(found, indent=1))
