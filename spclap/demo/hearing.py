"""What the page asks of a model: a recording's vector, words in each direction, captions in order."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from spclap.data.decode import Stream
from spclap.data.stream import open_stream
from spclap.doctor import Report, beginning, examine
from spclap.errors import DataError
from spclap.inference import SpatialCLAP
from spclap.model.recognise import KINDS
from spclap.space.directions import DIRECTIONS
from spclap.space.family import belongs
from spclap.space.wording import TEMPLATE

SECONDS = 60.0  # s of a recording that are heard, from its beginning
UNHEARD = ("mono", "silent")  # findings of doctor with which nothing can be heard
WHAT = {
    "spaced": "two omnis apart",
    "near-coincident": "two cardioids apart",
    "coincident": "two cardioids at one point, or panned",
    "head": "two ears",
}
FILES = "head:"  # what words for arrays begin with that name a file
KEPT = 16  # recordings whose vectors are kept
MOST_KEPT = 5000  # texts whose vectors are kept


@dataclass(frozen=True)
class Hearing:
    """Of a recording: its vector (dim,) of unit length, words for the array through which it was heard, and what people
    should know, a line each."""

    vector: np.ndarray
    array: str
    notes: tuple[str, ...]


class Ear:
    """A model, and what it heard last: words are changed more often than recordings."""

    def __init__(self, model: SpatialCLAP):
        self.model = model
        self.hear = lru_cache(maxsize=KEPT)(self._hear)
        self._known: dict[str, np.ndarray] = {}

    def _hear(self, path: Path, array: str) -> Hearing:
        """The first SECONDS of a file through `array`, through what doctor takes for likely if that is empty.

        DataError for a file that cannot be heard, and for words that name no array or a file.
        """
        stream, frames, notes = read(path)
        report = examine(stream)
        for finding in report.findings:
            if finding.what in UNHEARD:
                raise DataError(f"{path.name}: {finding.told}")
        array, said = self._array(array, report)
        vector = self.model.embed_audio(np.ascontiguousarray(frames.T), stream.rate, array)[0]
        return Hearing(vector, array, (*notes, *said, *(finding.told for finding in report.findings)))

    def _array(self, array: str, report: Report) -> tuple[str, list[str]]:
        """What a recording is heard through, and why."""
        model, own = self.model, str(self.model.clap.array)
        if array.startswith(FILES):
            raise DataError(f"array `{array[:80]}`: no files are opened from here; sphere:0.0875 stands for any head")
        if array:
            heard = model.told(array)
            new = model.arrays and not belongs(heard, model.arrays)
            return str(heard), [f"the model never trained on {array}, it may hear less well"] if new else []
        if not (report.kinds and model.clap.told):
            return own, [f"what recorded this cannot be told, {own} is assumed"]
        kind = next(iter(report.kinds))
        array = own if own in KINDS[kind] else report.array  # one wave has the same delay through many spacings
        return array, [f"sounds as if recorded by {WHAT[kind]}: {array} is assumed; if you know better, choose that"]

    def cosines(self, hearing: Hearing, captions: tuple[str, ...]) -> np.ndarray:
        """(n,) of captions with a recording."""
        if len(self._known) > MOST_KEPT:
            self._known.clear()
        if new := [caption for caption in captions if caption not in self._known]:
            self._known.update(zip(new, self.model.embed_text(new), strict=True))
        return np.stack([self._known[caption] for caption in captions]) @ hearing.vector

    def ranked(self, hearing: Hearing, captions: tuple[str, ...]) -> list[tuple[str, float]]:
        """Captions with their cosines, the best first."""
        return sorted(zip(captions, self.cosines(hearing, captions).tolist(), strict=True), key=lambda own: -own[1])

    def what_by_where(self, hearing: Hearing, words: tuple[str, ...]) -> dict[str, list[tuple[str, float]]]:
        """Direction -> words with their cosines there, the best first."""
        texts = [TEMPLATE.caption([word], [direction]) for direction in DIRECTIONS for word in words]
        rows = self.cosines(hearing, tuple(texts)).reshape(len(DIRECTIONS), -1).tolist()
        return {
            direction: sorted(zip(words, row, strict=True), key=lambda own: -own[1])
            for direction, row in zip(DIRECTIONS, rows, strict=True)
        }


def read(path: Path) -> tuple[Stream, np.ndarray, list[str]]:
    """The first SECONDS of a file as a recording with the name of the file, in place of where it lies, and as (samples,
    channels); what to say of that. DataError as of `open_stream`."""
    try:
        stream = open_stream(path)
        frames = beginning(stream, SECONDS + 1)
    except DataError as error:
        raise DataError(str(error).replace(str(path), path.name)) from error
    most = round(SECONDS * stream.rate)
    notes = [f"only the first {SECONDS:.0f} s are heard"] if len(frames) > most else []
    frames = frames[:most]
    return replace(stream, name=path.name, blocks=iter([frames])), frames, notes
