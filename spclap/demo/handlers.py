"""What the page does when something is clicked, without the page: values in, HTML or a file out."""

import shutil
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import soundfile

from spclap.demo.hearing import SECONDS, Ear, Hearing, read
from spclap.demo.pictures import bars, by_direction, half_circle, lines
from spclap.errors import DataError

MOST_TEXTS, MOST_LETTERS = 100, 200  # lines of a text box, letters of a line
EXCHANGED = " (channels exchanged)"
STALE = 3600  # s after which what was uploaded or made of it is deleted
WAITING = f"Record or upload a stereo recording, or try an example. At most {SECONDS:.0f} s are heard."


def texts_of(text: str) -> tuple[str, ...]:
    """The lines of a text box that are not empty, each once; DataError if there are too many or too long ones."""
    found = tuple(dict.fromkeys(filter(None, map(str.strip, (text or "").splitlines()))))
    if len(found) > MOST_TEXTS or max(map(len, found), default=0) > MOST_LETTERS:
        longest = max(map(len, found))
        raise DataError(
            f"{len(found)} lines, the longest of {longest} letters; at most {MOST_TEXTS} of {MOST_LETTERS} are compared"
        )
    return found


class Seen(NamedTuple):
    """HTML of what to know of a recording, of what is where, of captions ranked, and of words in each direction."""

    notes: str
    around: str = ""
    ranked: str = ""
    directions: str = ""


def look(ear: Ear, path: str | None, array: str | None, words: str, captions: str) -> Seen:
    """What is seen of a recording; faults are told, not raised."""
    if not path:
        return Seen(lines([WAITING], "note"))
    try:
        hearing = ear.hear(Path(path), (array or "").strip())
        if not (listed := texts_of(words)):
            raise DataError("nothing to listen for; write at least one sound")
        heard = ear.what_by_where(hearing, listed)
        ranks = _ranked(ear, hearing, captions)
        return Seen(lines(hearing.notes, "note"), half_circle(heard), ranks, by_direction(heard))
    except DataError as error:
        return Seen(lines([str(error)], "fault"))


def _ranked(ear: Ear, hearing: Hearing, captions: str) -> str:
    listed = texts_of(captions)
    return bars(ear.ranked(hearing, listed), "ranked") if listed else lines(["No captions yet."], "note")


def exchanged(path: str | None, folder: Path) -> str | None:
    """A new file below `folder` with left and right exchanged; the old one where it cannot be read or is not stereo."""
    if not path:
        return path
    old = Path(path)
    try:
        stream, frames, _ = read(old)
    except DataError:
        return path
    if frames.shape[1] != 2:
        return path
    stem = old.stem
    name = stem.removesuffix(EXCHANGED) if stem.endswith(EXCHANGED) else stem + EXCHANGED
    own = folder / "exchanged"
    own.mkdir(exist_ok=True)
    for made in own.iterdir():
        if time.time() - made.stat().st_mtime > STALE:
            shutil.rmtree(made, ignore_errors=True)
    new = Path(tempfile.mkdtemp(dir=own)) / f"{name}.wav"
    soundfile.write(new, frames[:, ::-1], stream.rate, subtype="FLOAT")
    return str(new)
