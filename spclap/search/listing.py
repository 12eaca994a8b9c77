"""What an index is of: index.json says the folder, its recordings, and through what they were heard."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from spclap.data.files import atomic_write_text
from spclap.data.progress import progress
from spclap.data.stream import SUFFIXES
from spclap.errors import DataError
from spclap.inference import SpatialCLAP
from spclap.model.folders import sha256

NAME = "index.json"
FORMAT = 1
RELEASED = "the released one"
SAME, CHANGED, GONE = "same", "changed", "gone"  # what became of a file


@dataclass(frozen=True)
class File:
    """content: SHA-256 in hex; size in bytes; changed: time of the last change in ns, which nobody can set back."""

    content: str
    size: int
    changed: int

    def same(self, path: Path) -> bool:
        """Whether a file is as it was; it is read only where size or time differ. OSError where it is not there."""
        return _state(path) == (self.size, self.changed) or sha256(path) == self.content


@dataclass(frozen=True)
class Listing:
    """folder: of recordings; model: its folder, "" for the released one; digest: of the model; array, window in s, dim;
    files: names within `folder`, sorted."""

    folder: str
    model: str
    digest: str
    array: str
    window: float
    dim: int
    files: dict[str, File]

    def write(self, out: Path) -> None:
        atomic_write_text(out / NAME, json.dumps({"format": FORMAT, **asdict(self)}, indent=0) + "\n")

    def path(self, name: str) -> Path:
        return Path(self.folder) / name

    def require(self, model: SpatialCLAP) -> None:
        """DataError unless this is the model that heard."""
        if digest(model) != self.digest:
            raise DataError(f"model {model.folder or 'that was given'}: {self._other_model}")

    def require_same(self, new: "Listing") -> None:
        """DataError for a new listing with other settings, or of another folder unless this one's was moved."""
        if new.digest != self.digest:
            raise DataError(f"model {new.model or RELEASED}: {self._other_model}")
        for key in ("array", "window"):
            if (had := getattr(self, key)) != (given := getattr(new, key)):
                raise DataError(f"{key} is {given}, the index was made with {had}; give that, or another --out")
        if new.folder != self.folder and Path(self.folder).is_dir():
            raise DataError(f"{new.folder}: the index is of {self.folder}; give another --out, each has its own")

    @property
    def _other_model(self) -> str:
        made = self.model or RELEASED
        return f"the index was made with {made}, digest {self.digest[:12]}; give that one, or make another index"

    def state(self, name: str) -> str:
        """What became of a file since it was listed."""
        try:
            return SAME if self.files[name].same(self.path(name)) else CHANGED
        except OSError:
            return GONE


def read_listing(out: Path) -> Listing:
    """DataError for a folder that is no index."""
    path = Path(out) / NAME
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if (found := stored.pop("format")) != FORMAT:
            raise DataError(f"{path}: format {found}, this version reads {FORMAT}; make the index anew")
        stored["files"] = {name: File(**file) for name, file in stored["files"].items()}
        return Listing(**stored)
    except FileNotFoundError:
        raise DataError(f"{path}: not found; `spclap index DIR --out {out}` makes an index") from None
    except (OSError, TypeError, KeyError, AttributeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: damaged: {error}; make the index anew") from error


def digest(model: SpatialCLAP) -> str:
    """SHA-256 in hex of all that the vectors of a model depend on."""
    total = hashlib.sha256(json.dumps(model.clap.hears, sort_keys=True).encode())
    if model.folder is not None:  # says the same, whatever the folder is called
        total = hashlib.sha256((model.folder / "config.yaml").read_bytes())
    for name, value in model.clap.state_dict().items():
        total.update(name.encode() + b"\0")
        total.update(value.detach().cpu().float().contiguous().numpy().data)
    return total.hexdigest()


def recordings(folder: Path) -> tuple[list[str], dict[str, str]]:
    """Names within a folder of all files that look like recordings, sorted, and of folders in it that cannot be read,
    each with the reason; hidden ones and links to folders are left out.

    DataError for no folder, and for one without any.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: not a folder; give one with recordings")
    names, closed = [], {}

    def refused(error: OSError) -> None:
        closed[str(Path(error.filename).relative_to(folder))] = (
            f"{error.filename}: cannot be read: {error.strerror}; allow it or move it away"
        )

    for base, folders, files in os.walk(folder, onerror=refused):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (Path(base, name) for name in files if not name.startswith("."))
        names += [str(path.relative_to(folder)) for path in paths if path.suffix.lower() in SUFFIXES]
    if not names:
        raise DataError(
            "; ".join(closed.values()) or f"{folder}: has no recordings ({' '.join(SUFFIXES)}); give a folder with some"
        )
    return sorted(names), closed


def look(folder: Path, names: Sequence[str], known: dict[str, File]) -> tuple[dict[str, File], dict[str, str]]:
    """Files of a folder, and those that cannot be read, each with the reason. What is `known` and has the size
    and the time of last change that it had is not read again."""
    files, bad = {}, {}
    for name in progress(names, desc="reading", unit="file"):
        try:
            state, old = _state(folder / name), known.get(name)
            same = old is not None and state == (old.size, old.changed)
            files[name] = old if same else File(sha256(folder / name), *state)
        except OSError as error:
            bad[name] = f"{folder / name}: cannot be read: {error}"
    return files, bad


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_ctime_ns
