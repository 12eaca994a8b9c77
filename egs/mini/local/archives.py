"""Readers of the containers in which the packages keep their sounds.

Nothing is unpacked to more than MAX_BYTES: a small file can hold a very large one.
"""

import struct
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import zstandard

MAX_BYTES = 64 << 20  # of one file of a package, and of one entry of a .rcc; the largest sound has 1.3 MB, a .cat 13 MB
ZLIB, DIRECTORY, ZSTD = 1, 2, 4  # flags of a Qt resource node
NODE_BYTES = 22  # of a Qt resource node, format versions 2 and 3
DAMAGED = (  # what readers raise for a file that is cut or none
    OSError, EOFError, ValueError, IndexError, struct.error, tarfile.TarError, zipfile.BadZipFile, NotImplementedError,
    zlib.error, zstandard.ZstdError,
)  # fmt: skip


def _check_size(name: str, size: int) -> None:
    """ValueError for more than MAX_BYTES."""
    if size > MAX_BYTES:
        raise ValueError(f"{name} unpacks to {size} bytes or more, at most {MAX_BYTES} are read")


def deb_files(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """(name without leading ./, content) of the wanted files in a .deb, streamed. OSError or TarError when damaged,
    ValueError for one that is too large."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(path)], stdout=subprocess.PIPE) as process:
        with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                if member.isreg() and wanted(name):
                    _check_size(name, member.size)
                    yield name, tar.extractfile(member).read()
    if process.returncode:
        raise OSError(f"dpkg-deb gave up with exit code {process.returncode}")


def wheel_files(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the wanted files in a wheel. BadZipFile when damaged, ValueError for one that is too large."""
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if wanted(info.filename):
                _check_size(info.filename, info.file_size)  # zipfile unpacks no more than that
                yield info.filename, archive.read(info)


def rcc_files(data: bytes, wanted: Iterable[str]) -> dict[str, bytes]:
    """Contents of the `wanted` resource paths in a Qt binary resource (.rcc); paths it lacks are left out.

    Raises one of DAMAGED for anything but a whole resource of format version 2 or 3.
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
            found[path] = _rcc_blob(data, blobs + struct.unpack(">4xI", at[1])[0], at[0], path)
    return found


def _part(data: bytes, start: int, size: int) -> bytes:
    """`size` bytes from `start`; ValueError where they are not all there."""
    if start + size > len(data):
        raise ValueError(f"cut after {len(data)} bytes, {start + size} are needed")
    return data[start : start + size]


def _rcc_blob(data: bytes, offset: int, flags: int, name: str) -> bytes:
    """One entry of a Qt resource, unpacked."""
    blob = _part(data, offset + 4, struct.unpack_from(">I", data, offset)[0])
    if flags & ZLIB:
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(blob[4:], MAX_BYTES + 1)
        _check_size(name, len(content))
        if not unpacker.eof:
            raise ValueError(f"{name} is cut")
        return content
    if flags & ZSTD:
        _check_size(name, zstandard.frame_content_size(blob))  # -1 for one that does not say
        return zstandard.ZstdDecompressor().decompress(blob, max_output_size=MAX_BYTES)
    return blob


def cat_file(data: bytes, number: int) -> tuple[str, bytes]:
    """(name, RIFF file) of an entry of an OpenTTD sound set (.cat). One of DAMAGED when there is none.

    The file starts with (offset, length) pairs, little endian; bit 31 of an offset is a flag. An entry is a
    length byte, a NUL-terminated name, then the RIFF file.
    """
    count = (struct.unpack_from("<I", data)[0] & 0x7FFFFFFF) // 8
    if not 0 <= number < count:
        raise ValueError(f"entry {number} of {count}")
    offset = struct.unpack_from("<I", data, 8 * number)[0] & 0x7FFFFFFF
    name_bytes = _part(data, offset, 1)[0]
    name = data[offset + 1 : offset + name_bytes].decode("latin-1")
    start = offset + 1 + name_bytes
    if _part(data, start, 4) != b"RIFF":
        raise ValueError(f"entry {number} (`{name}`) is no RIFF file")
    return name, _part(data, start, 8 + struct.unpack_from("<I", data, start + 4)[0])
