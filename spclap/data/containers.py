"""Was an audio file cut off? libsndfile reads shortened RIFF and Ogg files without complaint."""

import struct
from pathlib import Path

UNKNOWN_SIZE = (0, 0xFFFFFFFF)  # what programs write into a RIFF header when they stream


def _riff_truncated(file, size: int) -> bool:
    """Whether the `data` chunk promises more bytes than the file has."""
    position = 12
    while position + 8 <= size:
        file.seek(position)
        name, length = struct.unpack("<4sI", file.read(8))
        if name == b"data":
            return length not in UNKNOWN_SIZE and position + 8 + length > size
        position += 8 + length + length % 2
    return True


def _ogg_truncated(file, size: int) -> bool:
    """Whether the file ends within an Ogg page."""
    position = 0
    while position < size:
        file.seek(position)
        head = file.read(27)
        if len(head) < 27 or head[:4] != b"OggS":
            return True
        lacing = file.read(head[26])
        position += 27 + head[26] + sum(lacing)
        if len(lacing) < head[26]:
            return True
    return position > size


def is_truncated(path: Path) -> bool:
    """True for a RIFF/WAVE or Ogg file that ends before its headers say; False for any other format."""
    size = Path(path).stat().st_size
    with open(path, "rb") as file:
        magic = file.read(4)
        if magic == b"RIFF":
            return _riff_truncated(file, size)
        if magic == b"OggS":
            return _ogg_truncated(file, size)
    return False
