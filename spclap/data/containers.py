"""Is an audio file whole, and one recording? libsndfile reads cut files, and the first of joined ones, in silence."""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CUT = "truncated"
JOINED = "several recordings joined in one file, of which only the first would be read"
# Sizes that programs write when they cannot go back to correct them, or close to them: the size of a header less
PLACEHOLDERS = (2_000_000_000, 0x7F000000, 2**31, 2**32)
NEAR = 2**16
W64_DATA = b"data" + bytes.fromhex("f3acd3118cd100c04f8edb8a")


def _unknown(length: int) -> bool:
    """Whether a size in a header stands for "whatever follows", as in files that were written to a pipe."""
    return length <= 0 or length >= 2**62 or any(abs(length - known) <= NEAR for known in PLACEHOLDERS)


@dataclass(frozen=True)
class Chunks:
    """How a format lays out its chunks: where they start, (name, size) as struct writes them, bytes they are aligned
    to, whether sizes count the head, and the chunks without which there is no sound."""

    first: int
    head: str
    needed: tuple[bytes, ...]
    align: int = 2
    with_head: bool = False

    def walk(self, data: mmap.mmap) -> Iterator[tuple[bytes, int, int]]:
        """Name of each chunk, where its content starts and its size."""
        position, head = self.first, struct.calcsize(self.head)
        while position + head <= len(data):
            name, length = struct.unpack_from(self.head, data, position)
            length -= head if self.with_head else 0
            position += head
            yield name, position, length
            position += max(length, 0) + -length % self.align

    def problem(self, data: mmap.mmap) -> str:
        found, true_length = False, None
        for name, start, length in self.walk(data):
            if name == b"ds64" and start + 16 <= len(data):
                (true_length,) = struct.unpack_from("<Q", data, start + 8)
            if name in self.needed:
                found = True
                length = length if true_length is None else true_length
                if _unknown(length):
                    return ""
                if start + length > len(data):
                    return CUT
        return "" if found else CUT


CHUNKS = {
    b"RIFF": Chunks(12, "<4sI", (b"data",)),
    b"RIFX": Chunks(12, ">4sI", (b"data",)),
    b"RF64": Chunks(12, "<4sI", (b"data",)),
    b"FORM": Chunks(12, ">4sI", (b"SSND",)),
    b"riff": Chunks(40, "<16sQ", (W64_DATA,), align=8, with_head=True),
    b"caff": Chunks(8, ">4sq", (b"data", b"pakt"), align=1),
}


def _ogg_problem(data: mmap.mmap) -> str:
    """Ogg is whole when its last page is; what follows that is no page, such as a tag, does no harm."""
    position, begun = 0, False
    while position < len(data):
        head = data[position : position + 27]
        if not b"OggS".startswith(head[:4]):
            return CUT if data.find(b"OggS", position) >= 0 else ""  # a page is damaged, or only tags follow
        if len(head) < 27:
            return CUT
        first = bool(head[5] & 2)  # of a stream
        if first and begun:
            return JOINED
        begun = not first
        lacing = data[position + 27 : position + 27 + head[26]]
        position += 27 + head[26] + sum(lacing)
    return CUT if position > len(data) else ""


def _au_problem(data: mmap.mmap) -> str:
    start, length = struct.unpack_from(">II" if data[:1] == b"." else "<II", data, 4)
    return CUT if not _unknown(length) and start + length > len(data) else ""


def _flac_problem(data: mmap.mmap) -> str:
    """libsndfile tells a cut FLAC file; a second one begins with its mark and the head of its first block."""
    again = max(data.find(b"fLaC" + kind + b"\0\0\x22", 4) for kind in (b"\0", b"\x80"))
    return JOINED if again >= 0 else ""


def problem(path: Path) -> str:
    """CUT, JOINED or nothing. Nothing is said of MP3 (see mp3.py) and of formats that say no length."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if len(data) < 12:
            return CUT
        magic = data[:4]
        if magic in CHUNKS:
            return CHUNKS[magic].problem(data)
        others = {b"OggS": _ogg_problem, b".snd": _au_problem, b"dns.": _au_problem, b"fLaC": _flac_problem}
        return others[magic](data) if magic in others else ""
