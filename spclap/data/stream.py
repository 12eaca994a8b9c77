"""Audio files, opened and read in blocks to their true end."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from spclap.data import mp3
from spclap.data.containers import CUT, problem
from spclap.data.decode import Stream, decode, require_decoder
from spclap.data.quiet import without
from spclap.errors import DataError

CONTAINERS = (".m4a", ".mp4", ".aac", ".webm")  # what libsndfile does not read; the extra `m4a` does
SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", *CONTAINERS)
FORMATS = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC", "OGG", "MP3")  # it can be told if they are cut
MP3_SLACK = 4 * 1152  # frames of MP3 that its header counts and the decoder drops at the ends; others are exact
LFS = b"version https://git-lfs"  # what Git LFS leaves where a file was not fetched
BLOCK = 2**18  # frames read at once
MPG123 = r"Note: |Warning: Xing |\[src/libmpg123/"  # lines of libsndfile's decoder of MP3, which has no switch for them
ENDLESS = 2**62  # libsndfile says about this where a header says no length


class _Forward(soundfile.SoundFile):
    """Read from beginning to end: soundfile seeks after every block, which fails where no header says the length."""

    def seekable(self) -> bool:
        return False


def open_stream(path: Path) -> Stream:
    """DataError for a file that is missing, unreadable or cut, as far as its headers say; reading on may raise it."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: audio file not found; correct its path")
    try:
        with path.open("rb") as file:
            start = file.read(len(LFS))
        if start == LFS:
            raise DataError(f"{path}: is a Git LFS pointer, not the file; run git lfs pull")
        if not start:
            raise DataError(f"{path}: audio file is empty (0 bytes); replace it or remove the clip")
        if path.suffix.lower() in CONTAINERS:
            return decode(path)
        with without(MPG123):
            file = _Forward(bytes(path))  # as bytes, since names need not be UTF-8
        frames = _frames(path, file)
        if frames is not None:
            rate, seconds = file.samplerate, frames / file.samplerate or None
            return Stream(str(path), rate, file.channels, seconds, _read(path, file, frames))
        require_decoder(f"{path}: its header says that it is empty, or shorter than it is; such files")
        return decode(path)
    except (soundfile.LibsndfileError, OSError) as error:
        raise DataError(f"{path}: not readable as audio: {error}; replace it or remove the clip") from error


def _frames(path: Path, file: soundfile.SoundFile) -> int | None:
    """How many frames there are, 0 where nothing says it, None where libsndfile would not read them all.

    DataError for a file that is cut or joined, or of which that cannot be told.
    """
    if file.format not in FORMATS:
        raise DataError(f"{path}: {file.format} files do not say if they are cut; convert it to WAV or FLAC")
    if file.format == "MP3":
        found = mp3.measure(path)
        if found.cut or (found.announced or 0) > found.samples + MP3_SLACK:
            raise _cut(path, found.samples)
        return found.samples if file.frames >= found.samples - MP3_SLACK else None
    fault = problem(path)
    if fault == CUT:
        raise _cut(path, file.frames)
    if fault:
        raise DataError(f"{path}: {fault}; take it apart or convert it")
    return 0 if file.frames >= ENDLESS else file.frames or None


def _cut(path: Path, frames: int) -> DataError:
    return DataError(f"{path}: {CUT}, {frames} frames can be read; fetch it again or remove the clip")


def _block(file: soundfile.SoundFile) -> np.ndarray:
    with without(MPG123):
        return file.read(BLOCK, dtype="float32", always_2d=True)


def _read(path: Path, file: soundfile.SoundFile, frames: int) -> Iterator[np.ndarray]:
    """Blocks of a file that has `frames`."""
    count = 0
    try:
        with file:
            while len(block := _block(file)):
                count += len(block)
                yield block
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise DataError(f"{path}: not readable as audio: {error}; replace it or remove the clip") from error
    if count < frames - (MP3_SLACK if file.format == "MP3" else 0):
        raise _cut(path, count)
