"""Stamps tell a stage that its output is complete and unchanged."""

import hashlib
import json
import logging
from pathlib import Path

from spclap.data.datadir import atomic_write_text
from spclap.errors import DataError


def digest(*paths: Path) -> str:
    """SHA-256 of the names and contents of files, in the order given."""
    total = hashlib.sha256()
    for path in map(Path, paths):
        total.update(path.name.encode())
        total.update(path.read_bytes())
    return total.hexdigest()


class Stamp:
    """`done.json` in an output folder: what the output is made from, and whether it is complete."""

    def __init__(self, folder: Path, **inputs):
        self.folder = Path(folder)
        self.path = self.folder / "done.json"
        self.inputs = json.loads(json.dumps(inputs))

    def _stored(self) -> dict | None:
        return json.loads(self.path.read_text()) if self.path.is_file() else None

    def fresh(self) -> bool:
        """True when the output was finished with these very inputs."""
        return self._stored() == {"complete": True, **self.inputs}

    def interrupted(self) -> bool:
        """True when the output was begun with these very inputs and not finished."""
        return self._stored() == {"complete": False, **self.inputs}

    def begin(self, keep_old: bool = False) -> None:
        """Call before writing output, so that a killed run never looks complete.

        With `keep_old`, output made from other inputs is moved aside instead of being written over.
        """
        stored = self._stored()
        if keep_old and stored is not None and {**stored, "complete": True} != {"complete": True, **self.inputs}:
            number = 1
            while (aside := self.folder.with_name(f"{self.folder.name}.old{number}")).exists():
                number += 1
            self.folder.rename(aside)
            logging.warning("%s was made with other settings; moved to %s", self.folder, aside)
        self._write(False)

    def write(self) -> None:
        """Call when the output is complete."""
        self._write(True)

    def _write(self, complete: bool) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        atomic_write_text(self.path, json.dumps({"complete": complete, **self.inputs}, indent=1) + "\n")


def scenes_digest(data: Path) -> str:
    """What stage 1 made in data/<corpus>: configuration, rooms and fixed scenes."""
    folder = Path(data)
    return digest(folder / "simu.yaml", *sorted(folder.glob("rirs/*/done.json")), folder / "scenes" / "done.json")


def require_dump(data: Path, dump: Path) -> None:
    """DataError unless stage 2 has finished `dump`, from the rooms and scenes that `data` holds now."""
    require_complete(Path(data) / "scenes", "stage 1 (simulate)")
    require_complete(dump, "stage 2 (extract)")
    if json.loads((Path(dump) / "done.json").read_text())["scenes"] != scenes_digest(data):
        raise DataError(f"{dump}: made before {data} was simulated anew; rerun stages 1 and 2")


def require_complete(folder: Path, stage: str) -> None:
    """DataError when an earlier stage has not finished `folder`."""
    path = Path(folder) / "done.json"
    if not path.is_file() or not json.loads(path.read_text())["complete"]:
        raise DataError(f"{folder}: missing or unfinished; run {stage} first")
