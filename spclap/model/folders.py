"""Folders of models: written whole or not at all, every file listed with its hash and checked before it is used."""

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from spclap.errors import DataError

SUMS = "SHA256SUMS"  # as `sha256sum -c` reads it
MADE_ANEW = "export it anew, or install or fetch it again"


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder of a random name that becomes `folder` when the block ends, and is removed when the block fails.

    Its files are readable for whom umask lets read, whatever their writers made of them. DataError when `folder` is
    there, before or meanwhile, and when it cannot be written.
    """
    folder = Path(folder)
    taken = f"{folder}: is there already; give another folder or remove it"
    if os.path.lexists(folder):
        raise DataError(taken)
    temporary = folder.with_name(f".tmp-{secrets.token_hex(8)}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        yield temporary
        mode = temporary.stat().st_mode & 0o666
        for path in temporary.rglob("*"):
            if path.is_file():
                path.chmod(mode)
        temporary.rename(folder)  # fails where another process was first: its folder is not empty
    except Exception as error:
        if isinstance(error, DataError) or not (isinstance(error, OSError) or "(os error " in str(error)):
            raise  # libraries in Rust have their own types and those words
        if os.path.lexists(folder):
            raise DataError(taken) from error
        raise DataError(f"{folder}: cannot be written: {error}; nothing was left behind") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def inside(folder: Path, name: str) -> Path:
    """`folder`/`name`; DataError unless that is a place in `folder`, links followed (see `_home`)."""
    path = folder / str(name)
    if Path(str(name)).is_absolute() or ".." in path.parts[len(folder.parts) :]:
        raise DataError(f"{folder}: `{name}` is no name of a file in that folder; nothing else is read")
    if not path.resolve().is_relative_to(_home(folder)):
        raise DataError(f"{folder}: {name} is a link out of the folder; copy the model with `cp -rL`")
    return path


def _home(folder: Path) -> Path:
    """What links of a folder may lead into: itself, or its whole repository where the hub's cache has it, in which a
    snapshot is made of links to blobs."""
    here = folder.resolve()
    cached = here.parent.name == "snapshots" and (here.parents[1] / "blobs").is_dir()
    return here.parents[1] if cached else here


def sha256(path: Path) -> str:
    total = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            total.update(block)
    return total.hexdigest()


def write_sums(folder: Path) -> None:
    """List every file of a model directory with its hash."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    lines = [f"{sha256(folder / name)}  {name}\n" for name in names if name != SUMS]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def listed(folder: Path, again: str) -> dict[str, str]:
    """Name -> hash of each file that a folder must have; DataError where no list can be read, `again` the next step."""
    path, found = folder / SUMS, {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise DataError(f"{path}: missing, so the folder may be incomplete; {again}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}; {again}") from error
    for number, line in enumerate(lines, 1):
        if not (parts := re.fullmatch(r"([0-9a-f]{64}) [ *](.+)", line)):
            raise DataError(f"{path}:{number}: `{line[:80]}` is no hash and name; {again}")
        found[parts[2]] = parts[1]
    return found


def check_sums(folder: Path, parts: Collection[str], what: str = "model directory", again: str = MADE_ANEW) -> None:
    """DataError for the first file of a folder, a `what`, that is missing, changed or not listed.

    Listed must be all that it is read for: weights, config.yaml and what is in the folders `parts`. Others, such as
    README.md, may be there too.
    """
    sums = listed(folder, again)
    for name, digest in sums.items():
        path = inside(folder, name)
        if not path.is_file():
            raise DataError(f"{folder}: incomplete {what}: {name} is missing; {again}")
        if sha256(path) != digest:
            raise DataError(f"{folder}: damaged {what}: {name} is not what was written; {again}")
    read = [path for part in parts for path in (folder / part).rglob("*") if not path.is_dir()]
    read += [folder / "config.yaml", *folder.glob("*.safetensors")]
    for path in sorted(read):
        if (name := path.relative_to(folder).as_posix()) not in sums:
            raise DataError(f"{folder}: {name} is not in {SUMS}; remove it or {again}")
