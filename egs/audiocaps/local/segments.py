"""AudioCaps' own CSVs: segments of YouTube videos and their captions."""

import re
from dataclasses import dataclass
from pathlib import Path

from spclap.data.csvfile import read_csv
from spclap.data.datadir import visible
from spclap.errors import DataError

COLUMNS = ("audiocap_id", "youtube_id", "start_time", "caption")
HOW = "see egs/audiocaps/README.md for how to get AudioCaps"
ROW = re.compile(r"^[0-9]+,[^,\s]+,[0-9]+,", re.MULTILINE)  # how a line of such a CSV begins


@dataclass
class Entry:
    """A segment of a YouTube video with its captions, in the order of the CSV."""

    youtube_id: str
    start: int  # s
    captions: list[str]
    rows: list[str]  # audiocap_id of each caption

    @property
    def id(self) -> str:
        """YouTube ids may begin with `-`; AudioSet's files are named with a Y before it for that reason."""
        return f"Y{self.youtube_id}_{self.start}"


def mid_sentence(caption: str) -> str:
    """A caption as it reads inside a sentence: without full stop, `A man` as `a man`.

    Only the first letter changes, and only of a word that has no other capital: `TV`, `DJ` and `McDonald` stay, and so
    do `I`, `I'm` and letters that name a shape (`X-ray`).
    """
    caption = " ".join(caption.split()).rstrip(" .,;:!")
    word = caption.partition(" ")[0]
    letters = [index for index, char in enumerate(word) if char.isalpha()]
    if not letters or any(word[index].isupper() for index in letters[1:]):
        return caption
    first, rest = word[letters[0]], word[letters[0] + 1 :]
    if len(first.lower()) != 1 or (first == "I" and not rest[:1].isalpha()) or rest[:1] in ("-", "\u2010", "\u2011"):
        return caption
    return caption[: letters[0]] + first.lower() + caption[letters[0] + 1 :]


def joined(head: list[str], rows: list[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
    """Rows whose caption, the last column, is all that follows: commas and line breaks without quotes belong to it.

    AudioCaps 2.0 as published breaks some captions over two lines. What starts with no number, and has too few cells
    for a row, goes on with the row before.
    """
    if head[-1] != "caption":
        return rows
    out: list[tuple[int, list[str]]] = []
    for line, cells in rows:
        if out and len(cells) < len(head) and not re.fullmatch(r"\s*[0-9]+\s*", cells[0]):
            out[-1][1][-1] += "\n" + ",".join(cells)
        else:
            out.append((line, [*cells[: len(head) - 1], ",".join(cells[len(head) - 1 :])]))
    return out


def read_segments(path: Path) -> list[Entry]:
    """Segments of a split, captions as inside a sentence; DataError with file and line for what is no AudioCaps CSV."""
    head, rows = read_csv(path, COLUMNS, HOW)
    found: dict[tuple[str, int], Entry] = {}
    for line, cells in joined(head, rows):
        row = dict(zip(head, [*cells, *[""] * len(head)], strict=False))
        if ROW.search(row["caption"]):
            raise DataError(f"{path}:{line}: a caption that begins with a quote and has no other holds rows; close it")
        caption, start = mid_sentence(row["caption"]), row["start_time"]
        if not row["youtube_id"] or not visible(caption) or not re.fullmatch(r"[0-9]+(\.0+)?", start):
            raise DataError(f"{path}:{line}: no youtube_id, start_time or caption: {row}; {HOW}")
        key = (row["youtube_id"], int(float(start)))
        entry = found.setdefault(key, Entry(*key, [], []))
        entry.captions.append(caption)
        entry.rows.append(row["audiocap_id"])
    return list(found.values())
