"""Readers of the containers in which the packages keep their sounds."""

import struct
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import zstandard

ZLIB, DIRECTORY, ZSTD = 1, 2, 4  # flags of a Qt resource node
NODE_BYTES = 22  # of a Qt resource node, format versions 2 and 3


def deb_files(path: Path) -> Iterator[tuple[str, bytes]]:
    """(name without leading ./, content) of every file in a .deb, streamed. OSError or TarError when damaged."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(path)], stdout=subprocess.PIPE) as process:
        with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
            for member in tar:
                if member.isreg():
                    yield member.name.removeprefix("./"), tar.extractfile(member).read()
    if process.returncode:
        raise OSError(f"dpkg-deb gave up with exit code {process.returncode}")


def wheel_files(path: Path) -> Iterator[tuple[str, bytes]]:
    """(name, content) of every file in a wheel. BadZipFile when damaged."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            yield name, archive.read(name)


def rcc_files(data: bytes, wanted: Iterable[str]) -> dict[str, bytes]:
    """Contents of the `wanted` resource paths in a Qt binary resource (.rcc); paths it lacks are left out.

    Raises ValueError for anything but format version 2 or 3.
    """
    magic, version, tree, blobs, names = struct.unpack_from(">4s4I", data)
    if magic != b"qres" or version not in (2, 3):
        raise ValueError(f"not a Qt resource of version 2 or 3: {magic!r} version {version}")

    def node(index: int) -> tuple[str, int, bytes]:
        name_at, flags = struct.unpack_from(">IH", data, tree + NODE_BYTES * index)
        length = struct.unpack_from(">H", data, names + name_at)[0]
        start = names + name_at + 6
        rest = data[tree + NODE_BYTES * index + 6 : tree + NODE_BYTES * index + 14]
        return data[start : start + 2 * length].decode("utf-16-be"), flags, rest

    def child(parent: bytes, name: str) -> tuple[int, bytes] | None:
        count, first = struct.unpack(">II", parent)
        for index in range(first, first + count):
            child_name, flags, rest = node(index)
            if child_name == name:
                return flags, rest
        return None

    found: dict[str, bytes] = {}
    root = node(0)[1:]
    for path in wanted:
        at: tuple[int, bytes] | None = root
        for part in path.split("/"):
            at = child(at[1], part) if at and at[0] & DIRECTORY else None
        if at and not at[0] & DIRECTORY:
            found[path] = _rcc_blob(data, blobs + struct.unpack(">4xI", at[1])[0], at[0])
    return found


def _rcc_blob(data: bytes, offset: int, flags: int) -> bytes:
    """One entry of a Qt resource, unpacked."""
    size = struct.unpack_from(">I", data, offset)[0]
    blob = data[offset + 4 : offset + 4 + size]
    if flags & ZLIB:
        return zlib.decompress(blob[4:])
    if flags & ZSTD:
        return zstandard.ZstdDecompressor().decompressobj().decompress(blob)
    return blob


def cat_file(data: bytes, number: int) -> tuple[str, bytes]:
    """(name, RIFF file) of an entry of an OpenTTD sound set (.cat). ValueError when there is none.

    The file starts with (offset, length) pairs, little endian; bit 31 of an offset is a flag. An entry is a
    length byte, a NUL-terminated name, then the RIFF file.
    """
    count = (struct.unpack_from("<I", data)[0] & 0x7FFFFFFF) // 8
    if not 0 <= number < count:
        raise ValueError(f"entry {number} of {count}")
    offset = struct.unpack_from("<I", data, 8 * number)[0] & 0x7FFFFFFF
    name_bytes = data[offset]
    name = data[offset + 1 : offset + name_bytes].decode("latin-1")
    start = offset + 1 + name_bytes
    if data[start : start + 4] != b"RIFF":
        raise ValueError(f"entry {number} (`{name}`) is no RIFF file")
    size = struct.unpack_from("<I", data, start + 4)[0]
    return name, data[start : start + 8 + size]
