"""How long an MP3 file is: libsndfile estimates it where no header says so, and believes a header that is wrong."""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

V1, V2 = (3,), (2, 0)  # MPEG 1; MPEG 2 and 2.5, as headers write them
LAYER_1, LAYER_2, LAYER_3 = 3, 2, 1
KBPS = {
    (V1, LAYER_1): range(0, 449, 32),
    (V1, LAYER_2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (V1, LAYER_3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (V2, LAYER_1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (V2, LAYER_2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (V2, LAYER_3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
HERTZ = (44100, 48000, 32000)
HALVED = {3: 1, 2: 2, 0: 4}
SAME = 0xFFFE0C00  # bits of a header that all frames of a recording share: version, layer, sample rate


@dataclass(frozen=True)
class Mp3:
    """What the frames of a file say: samples of each channel, how many the header announces (None: it does not), and
    whether the file ends within a frame."""

    samples: int
    announced: int | None
    cut: bool


def _parse(header: int) -> tuple[int, int] | None:
    """(bytes, samples) of a frame by its first 4 bytes; None for what is no header."""
    version, layer, rate = header >> 19 & 3, header >> 17 & 3, header >> 10 & 3
    kbps, padding = header >> 12 & 15, header >> 9 & 1
    if header >> 21 != 0x7FF or version == 1 or layer == 0 or rate == 3 or kbps in (0, 15):
        return None
    family = V1 if version in V1 else V2
    samples = 384 if layer == LAYER_1 else 576 if layer == LAYER_3 and family == V2 else 1152
    slot = 4 if layer == LAYER_1 else 1
    bits = KBPS[family, layer][kbps] * 1000 * samples // 8
    return (bits // (HERTZ[rate] // HALVED[version] * slot) + padding) * slot, samples


def _header(data: mmap.mmap, position: int) -> int:
    return int.from_bytes(data[position : position + 4], "big") if position + 4 <= len(data) else 0


def _frames(data: mmap.mmap) -> Iterator[tuple[int, int, int]]:
    """(position, bytes, samples) of every frame; tags before, between and after them are passed over."""
    position, known = 0, 0  # known: header of the frame before, while frames follow each other
    while position + 4 <= len(data):
        if data[position : position + 3] == b"ID3":
            a, b, c, d = data[position + 6 : position + 10].ljust(4, b"\0")
            position += 10 + (a << 21 | b << 14 | c << 7 | d)
            continue
        header = _header(data, position)
        frame = _parse(header)
        if frame and known == 0:  # where nothing is known, two frames of one kind must follow each other
            after = _header(data, position + frame[0])
            frame = frame if _parse(after) and (after ^ header) & SAME == 0 else None
        if frame:
            yield position, *frame
            position, known = position + frame[0], header
        else:
            found = data.find(b"\xff", position + 1)
            position, known = found if found >= 0 else len(data), 0


def _announced(first: bytes) -> int | None:
    """Frames that the header in a first frame announces; None where it is a frame of sound."""
    for tag in (b"Xing", b"Info"):
        at = first.find(tag)
        if at >= 0 and at + 12 <= len(first) and first[at + 7] & 1:
            return struct.unpack_from(">I", first, at + 8)[0]
    at = first.find(b"VBRI")
    return struct.unpack_from(">I", first, at + 14)[0] if at >= 0 and at + 18 <= len(first) else None


def measure(path: Path) -> Mp3:
    """Walk through the frames of an MP3 file."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        total, announced, end = 0, None, 0
        for index, (position, length, samples) in enumerate(_frames(data)):
            if index == 0 and (count := _announced(data[position : position + length])) is not None:
                announced = count * samples
            else:
                total += samples
            end = position + length
        return Mp3(total, announced, end > len(data))
