"""Locks on output folders, which tell who writes."""

import errno
import fcntl
import os
import socket
import time
from pathlib import Path

from spclap.data.files import TEMPORARY, remove_temporaries
from spclap.errors import DataError


class Lock:
    """A file that one process holds at a time; it is free again when that process ends, however it ends."""

    def __init__(self, path: Path, what: Path, wait: bool = False):
        """Hold `path`, or with `wait` wait for it; DataError says who is writing `what`."""
        self.path, self.what, self.wait, self.file = Path(path), what, wait, None
        while self.file is None:
            self.file = self._open()
        self.file.truncate(0)
        when = time.strftime("%Y-%m-%d %H:%M:%S")
        self.file.write(f"process {os.getpid()} on {socket.gethostname()} since {when}")
        self.file.flush()

    def _open(self):
        """The file, held; None if its holder removed it meanwhile."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
            file = os.fdopen(handle, "r+", encoding="utf-8")
        except OSError as error:
            raise DataError(f"{self.what}: cannot be written: {error}; fix it and rerun") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if self.wait else fcntl.LOCK_NB))
        except BlockingIOError:
            who = file.read() or "another process"
            file.close()
            raise DataError(f"{self.what} is being written by {who}; wait or stop it") from None
        except OSError as error:
            if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):  # a file system without locks
                raise
        try:
            if os.path.samestat(os.fstat(file.fileno()), self.path.stat()):
                return file
        except FileNotFoundError:
            pass
        file.close()
        return None

    def release(self) -> None:
        """Let others write."""
        if self.file is not None:
            self.path.unlink(missing_ok=True)
            fcntl.flock(self.file, fcntl.LOCK_UN)  # for child processes too, which share the open file
            self.file.close()
            self.file = None

    def __enter__(self) -> "Lock":
        return self

    def __exit__(self, *_) -> None:
        self.release()


def lock_folder(folder: Path) -> Lock:
    """The right to write into a folder; DataError tells who has it. What killed runs left in it is removed."""
    folder = Path(folder)
    lock = Lock(folder / ".lock", folder)
    remove_temporaries(folder.rglob(f"{TEMPORARY}*"))
    return lock


def writer_of(folder: Path) -> str:
    """Who is writing into a folder, or nothing."""
    path = Path(folder) / ".lock"
    if not path.is_file():
        return ""
    with path.open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return file.read() or "another process"
    return ""
