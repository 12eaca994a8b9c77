"""Stamps tell a stage that its output is complete and unchanged, and the stages that read it."""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from spclap.data.datadir import SPLITS
from spclap.data.files import atomic_path, atomic_write_text
from spclap.data.lock import Lock, lock_folder, writer_of
from spclap.errors import DataError

NAME = "done.json"


def digest(*paths: Path) -> str:
    """SHA-256 of the names and contents of files, in the order given; DataError for one that cannot be read."""
    total = hashlib.sha256()
    for path in map(Path, paths):
        total.update(path.name.encode())
        _add(total, path)
    return total.hexdigest()


def _add(total, path: Path) -> None:
    try:
        with path.open("rb") as file:
            while part := file.read(2**20):
                total.update(part)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; rerun the stage that makes it") from error


def _content(path: Path) -> str:
    total = hashlib.sha256()
    _add(total, path)
    return total.hexdigest()


def read_stamp(folder: Path) -> dict:
    """What `done.json` of a folder says, nothing if there is none; DataError for a damaged one."""
    path = Path(folder) / NAME
    if not path.exists():
        return {}
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        stored["complete"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: damaged ({error}); delete it and rerun the stage that makes {folder}") from error
    return stored


def _changed_at(folder: Path, name: str) -> int:
    """Time (ns) of the last change of an output, of its link's if it is one and of folders between, by content, name or
    owner: no program can set it, as it can the time of modification."""
    path, times = folder / name, []
    times.append(path.stat().st_ctime_ns)
    while path not in (folder, folder.parent):
        times.append(path.lstat().st_ctime_ns)
        path = path.parent
    return max(times)


def _missing(folder: Path, stored: dict, maker: str) -> list[Path]:
    """Outputs of a stamp that are not there; DataError for one that was changed since.

    What was changed before the stamp was written is not read again. Output that is newer, as in a copy, is.
    """
    missing, newer, stamp = [], False, folder / NAME
    for name, (size, content) in stored.get("outputs", {}).items():
        path = folder / name
        if not path.is_file():
            missing.append(path)
            continue
        same = path.stat().st_size == size
        if same and _changed_at(folder, name) >= stamp.stat().st_ctime_ns:
            newer, same = True, _content(path) == content
        if not same:
            raise DataError(f"{path}: changed since {maker} made it; move it away or put it back, and rerun {maker}")
    if newer and not missing and os.access(stamp, os.W_OK):
        seen = stamp.stat()
        os.utime(stamp, ns=(seen.st_atime_ns, seen.st_mtime_ns))  # sets the time of its last change too
    return missing


class Stamp:
    """`done.json` in an output folder: what the output is made from, whether it is complete, and digests of it."""

    def __init__(self, folder: Path, **inputs):
        self.folder = Path(folder)
        self.path = self.folder / NAME
        self.inputs = json.loads(json.dumps(inputs))
        self._lock = None

    def _is(self, stored: dict, complete: bool) -> bool:
        return {**stored, "outputs": 0} == {"complete": complete, **self.inputs, "outputs": 0}

    def fresh(self) -> bool:
        """True when the output was finished with these very inputs and is there; DataError when it was changed."""
        stored = read_stamp(self.folder)
        if not self._is(stored, complete=True):
            return False
        for path in (missing := _missing(self.folder, stored, "this stage")):
            logging.warning("%s: missing, so %s is made anew", path, self.folder)
        return not missing

    def interrupted(self) -> bool:
        """True when the output was begun with these very inputs and not finished."""
        return self._is(read_stamp(self.folder), complete=False)

    def begin(self, keep_old: bool = False, clear: Iterable[Path] = ()) -> None:
        """Call before writing output, so that a killed run never looks complete. The folder is locked until `write`.

        With `keep_old`, output made from other inputs is moved aside instead of being written over. The folders `clear`
        are removed unless a run with these very inputs was interrupted. DataError when another process is at it, and
        for output that was changed since it was made: what a user made is not written over.
        """
        self._lock = lock_folder(self.folder)
        try:
            self._prepare(keep_old, clear)
        except BaseException:
            self._lock.release()
            raise

    def _prepare(self, keep_old: bool, clear: Iterable[Path]) -> None:
        stored = read_stamp(self.folder)
        known = any(self._is(stored, complete) for complete in (True, False))
        if keep_old and not known:
            self._move_aside()
        else:
            _missing(self.folder, stored, "this stage")
        if not self._is(stored, complete=False):
            for folder in clear:
                shutil.rmtree(folder, ignore_errors=True)
        self._write(False)

    def _move_aside(self) -> None:
        if not any(path != self._lock.path for path in self.folder.iterdir()):
            return
        number = 1
        while (aside := self.folder.with_name(f"{self.folder.name}.old{number}")).exists():
            number += 1
        self.folder.rename(aside)
        self._lock.path = aside / self._lock.path.name
        self._lock.release()
        logging.warning("%s was made with other settings; moved to %s", self.folder, aside)
        self._lock = lock_folder(self.folder)

    def write(self, outputs: Iterable[Path] = ()) -> None:
        """Call when the output is complete; later stages and reruns check that these files stay as they are."""
        names = sorted(Path(os.path.relpath(path, self.folder)).as_posix() for path in outputs)
        made = {name: [(self.folder / name).stat().st_size, _content(self.folder / name)] for name in names}
        self._write(True, outputs=made)
        if self._lock is not None:
            self._lock.release()

    def _write(self, complete: bool, **outputs) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        atomic_write_text(self.path, json.dumps({"complete": complete, **self.inputs, **outputs}, indent=1) + "\n")


def made_once(folder: Path, make: Callable[[], dict[str, bytes]], **inputs) -> dict[str, Path]:
    """Files that `make` gives the content of, by name, in `folder`; made when they are not there for these inputs.

    Who wants them meanwhile waits. DataError when one was changed since.
    """
    folder = Path(folder)
    with Lock(folder.with_name(f".{folder.name}.lock"), folder, wait=True):
        stamp = Stamp(folder, **inputs)
        if not stamp.fresh():
            content = make()
            stamp.begin()
            for name, data in content.items():
                with atomic_path(folder / name) as temporary:
                    temporary.write_bytes(data)
            stamp.write(folder / name for name in content)
        return {name: folder / name for name in read_stamp(folder)["outputs"]}


def scenes_digest(data: Path) -> str:
    """What the test scenes of data/<corpus> are: configuration and scenes, which are the same on every machine."""
    folder = Path(data)
    return digest(folder / "simu.yaml", *sorted(folder.glob("scenes/*.jsonl")))


def list_files(data: Path, splits: Iterable[str] = SPLITS) -> list[Path]:
    """What is said of the clips of data/<corpus>."""
    names = ("text", "caption2clip", "utt2label", "utt2event")
    return [path for split in splits for name in names if (path := Path(data) / split / name).is_file()]


def corpus_digest(data: Path, dump: Path) -> str:
    """All that a training on data/<corpus> and dump/<corpus> depends on: lists, rooms, scenes, clips, their config."""
    rooms = [Path(data) / "rirs" / split / NAME for split in SPLITS]
    made = [Path(dump) / "feats.yaml", Path(dump) / "clips" / NAME, Path(data) / "scenes" / NAME]
    return digest(*list_files(data), *rooms, *made)


def require_corpus(data: Path, dump: Path) -> None:
    """DataError unless stages 1 and 2 have finished, and nothing that they made was changed since."""
    require_simulated(data)
    require_complete(Path(dump) / "clips", "stage 2 (pack)")


def require_simulated(data: Path) -> None:
    """DataError unless stage 1 has finished `data` and nothing was changed since."""
    banks = [folder for split in SPLITS if (folder := Path(data) / "rirs" / split).is_dir()]
    for folder in (*banks, Path(data) / "scenes"):
        require_complete(folder, "stage 1 (simulate)")


def require_complete(folder: Path, stage: str) -> None:
    """DataError when an earlier stage has not finished `folder`, or a file of it is missing or was changed since."""
    stored = read_stamp(folder)
    if not stored.get("complete"):
        if who := writer_of(folder):
            raise DataError(f"{folder} is being written by {who}; wait until {stage} is done")
        raise DataError(f"{folder}: missing or unfinished; run {stage} first")
    if missing := _missing(Path(folder), stored, stage):
        raise DataError(f"{missing[0]}: missing; rerun {stage}")
