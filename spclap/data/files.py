"""Files that are complete or not there."""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spclap.errors import DataError

TEMPORARY = ".tmp-"  # what names of unfinished files begin with
DAY = 86400  # s


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`, renamed to it on success and removed on any error.

    Its name is drawn, and no file or link that is there is ever opened. An OSError of the body (disk full, no
    permission) is raised as DataError naming `path`.
    """
    path = Path(path)
    if not path.name:
        raise DataError(f"{path}: is a folder; give a file in it")
    temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(8)}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_temporaries(path.parent.glob(f"{TEMPORARY}*-{path.name}"), age=DAY)
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        os.replace(temporary, path)
    except UnicodeEncodeError as error:
        bad = ascii(error.object[max(0, error.start - 30) : error.end + 10])
        raise DataError(f"{path}: {bad} is not UTF-8; rename that file and rerun") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error}; nothing was left behind, fix it and rerun") from error
    finally:
        temporary.unlink(missing_ok=True)


def atomic_write_text(path: Path, text: str) -> None:
    """Write UTF-8 text by way of a temporary name."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def remove_temporaries(paths: Iterator[Path], age: float = 0) -> None:
    """Remove what killed runs left `age` seconds ago or before."""
    for path in paths:
        try:
            if time.time() - path.lstat().st_mtime >= age:
                path.unlink()
        except OSError:  # another process was quicker, or it is not ours
            pass
