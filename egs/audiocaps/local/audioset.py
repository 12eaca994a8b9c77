"""Sound events of AudioSet's segments, from its CSVs and ontology."""

import csv
import json
import re
from pathlib import Path

from spclap.errors import DataError

HOW = "the segment CSVs and ontology.json are at research.google.com/audioset, see egs/audiocaps/README.md"


def event_names(path: Path) -> dict[str, str]:
    """Machine id -> name in words that a table can hold, such as `male_speech_man_speaking`."""
    try:
        nodes = json.loads(path.read_text(encoding="utf-8")) or [{}]  # an empty one has no ids either
        return {node["id"]: re.sub(r"\W+", "_", node["name"]).strip("_").lower() for node in nodes}
    except FileNotFoundError:
        raise DataError(f"{path}: not found; {HOW}") from None
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path}: not AudioSet's ontology: {error}; {HOW}") from error


def events_of_clips(folder: Path) -> dict[str, tuple[str, ...]]:
    """YouTube id -> its events, of all *_segments.csv in `folder`; DataError for files that are none."""
    names = event_names(folder / "ontology.json")
    tables = sorted(folder.glob("*_segments.csv"))
    if not tables:
        raise DataError(f"{folder}: holds no *_segments.csv; {HOW}")
    found: dict[str, tuple[str, ...]] = {}
    for path in tables:
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: not UTF-8 ({error}); {HOW}") from error
        for number, row in enumerate(csv.reader(lines, skipinitialspace=True), 1):
            if not row or row[0].startswith("#"):
                continue
            ids = row[3].split(",") if len(row) == 4 else []
            if not ids or not all(name in names for name in ids):
                raise DataError(f"{path}:{number}: no AudioSet segment with labels of the ontology: {row}; {HOW}")
            found[row[0]] = tuple(sorted({names[name] for name in ids}))
    return found
