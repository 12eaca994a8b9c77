#!/usr/bin/env python3
"""How fast clips of 10 s are read in random order, by container: python benchmarks/read_clips.py data/esc50

Clips are made of the recordings in a data directory, written as 16-bit samples into each container and read whole, in
one random order, by one process; formats take turns. Cold: the system's file cache was dropped before (needs root).
"""

import argparse
import io
import os
import statistics
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import kaldiio
import numpy as np
import soundfile

from spclap.data.audio import read_clip
from spclap.data.datadir import load_datadir
from spclap.data.pack import ClipPack, write_pack

RATE, SAMPLES = 16000, 160000


def full_scale(clip: np.ndarray) -> np.ndarray:
    return np.round(clip * (32767 / np.abs(clip).max())).astype("<i2")


def recordings(data: Path, count: int) -> list[np.ndarray]:
    """`count` clips (160000,) int16, each recording repeated from another place on."""
    clips = [read_clip(Path(clip.path), RATE) for clip in load_datadir(data / "train")[:200]]
    rng = np.random.default_rng(0)
    return [np.resize(np.roll(full_scale(clips[i % len(clips)]), rng.integers(SAMPLES)), SAMPLES) for i in range(count)]


def npy(folder: Path, clips: list[np.ndarray]) -> Callable[[int], np.ndarray]:
    write_pack(folder, ((str(i), clip / np.float32(32768)) for i, clip in enumerate(clips)), dtype="int16")
    pack = ClipPack(folder)
    return lambda i: pack.read(str(i))


def hdf5(folder: Path, clips: list[np.ndarray]) -> Callable[[int], np.ndarray]:
    with h5py.File(folder / "clips.h5", "w") as file:
        file["audio"] = np.concatenate(clips)
    data = h5py.File(folder / "clips.h5")["audio"]
    return lambda i: data[i * SAMPLES : (i + 1) * SAMPLES] / np.float32(32768)


def ark(folder: Path, clips: list[np.ndarray]) -> Callable[[int], np.ndarray]:
    path = str(folder / "clips.ark")
    kaldiio.save_ark(path, {str(i): (RATE, clip) for i, clip in enumerate(clips)}, scp=f"{path}.scp")
    places = [line.split()[1] for line in Path(f"{path}.scp").read_text().splitlines()]
    return lambda i: kaldiio.load_mat(places[i])[1] / np.float32(32768)


def tar(kind: str) -> Callable:
    def make(folder: Path, clips: list[np.ndarray]) -> Callable[[int], np.ndarray]:
        with tarfile.open(folder / "clips.tar", "w") as archive:
            for i, clip in enumerate(clips):
                buffer = io.BytesIO()
                soundfile.write(buffer, clip, RATE, format=kind)
                member = tarfile.TarInfo(f"{i}.{kind}")
                member.size = len(buffer.getvalue())
                archive.addfile(member, io.BytesIO(buffer.getvalue()))
        with tarfile.open(folder / "clips.tar") as archive:
            places = [(member.offset_data, member.size) for member in archive]
        file = open(folder / "clips.tar", "rb")

        def read(i: int) -> np.ndarray:
            file.seek(places[i][0])
            return soundfile.read(io.BytesIO(file.read(places[i][1])), dtype="float32")[0]

        return read

    return make


FORMATS = {"npy, mapped": npy, "HDF5": hdf5, "Kaldi ark": ark, "tar of wav": tar("wav"), "tar of flac": tar("flac")}


def size(folder: Path) -> float:
    """MB."""
    return sum(path.stat().st_size for path in folder.iterdir()) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="data/<corpus>")
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    clips = recordings(args.data, args.clips)
    with tempfile.TemporaryDirectory(dir=".") as scratch:
        readers, sizes = {}, {}
        for name, make in FORMATS.items():
            folder = Path(scratch) / name.replace(" ", "_")
            folder.mkdir()
            readers[name], sizes[name] = make(folder, clips), size(folder)
            assert np.abs(readers[name](7) - clips[7] / np.float32(32768)).max() < 1e-4, name
        rates: dict[tuple[str, bool], list[float]] = {(name, cold): [] for name in FORMATS for cold in (True, False)}
        for round_ in range(args.rounds):
            order = np.random.default_rng(round_).permutation(args.clips)
            for name, read in readers.items():
                for cold in (True, False):
                    if cold:
                        os.sync()
                        subprocess.run(["sh", "-c", "echo 3 > /proc/sys/vm/drop_caches"], check=True)
                    start = time.perf_counter()
                    for i in order:
                        read(int(i)).sum()
                    rates[name, cold].append(args.clips / (time.perf_counter() - start))
    print(f"{args.clips} clips of 10 s, 16 kHz, 16 bits; one process, median of {args.rounds} rounds\n")
    print("| container | MB | clips/s, cold | clips/s, cached |\n|---|---|---|---|")
    for name in FORMATS:
        cold, warm = (statistics.median(rates[name, state]) for state in (True, False))
        print(f"| {name} | {sizes[name]:.0f} | {cold:.0f} | {warm:.0f} |")


if __name__ == "__main__":
    main()
