#!/usr/bin/env python3
"""What `spclap doctor` finds: python benchmarks/doctor.py --data data/mini --dump dump/mini

Recordings of 4 s of one to three test clips with a little noise, through the arrays of conf/places.yaml; a defect
is put into each of them in turn. Prints how often the kind of array is right, a defect is found, and a good recording
has one that none of its clips has by itself.
"""

import argparse
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch

from spclap.data.config import load_config
from spclap.data.datadir import load_datadir
from spclap.data.decode import Stream
from spclap.data.progress import progress
from spclap.doctor import examine
from spclap.evaluate.benchmarks.places import PlacesConf, places
from spclap.evaluate.markdown import table
from spclap.scene.corpus import Corpus
from spclap.scene.sampler import SceneSampler
from spclap.scene.sounds import SoundConf
from spclap.scene.spatialize import render
from spclap.space.array import SAMPLE_RATE

RECORDER = {"room_db": [-40.0, -20.0], "own_db": [-50.0, -30.0], "gain_db": [-0.5, 0.5]}
SOUNDS = SoundConf(level_db=6.0, share=[1.0, 1.0], recorder=RECORDER)  # once each: a loop has a spectrum of lines
SECONDS = 4
KINDS = {
    "omnis 8 cm": "spaced", "omnis 17 cm": "spaced", "omnis 30 cm": "spaced", "ORTF": "near-coincident",
    "XY 90": "coincident", "MS": "coincident", "panned": "coincident", "KEMAR anechoic": "head",
    "KEMAR with tail": "head", "KU100 in a listening room": "head",
}  # fmt: skip


def hum(x: np.ndarray) -> np.ndarray:
    times = np.arange(x.shape[1]) / SAMPLE_RATE
    return x + x.std() * 0.2 * sum(np.sin(2 * np.pi * 50 * k * times) / k for k in range(1, 7))


DEFECTS = {  # what a report says -> what is done to (2, samples)
    "mono": lambda x: x[:1],
    "equal": lambda x: np.stack([x.mean(axis=0)] * 2),
    "inverted": lambda x: x * [[1], [-1]],
    "one silent": lambda x: x * [[1], [1e-5]],
    "weak": lambda x: x * [[1], [0.05]],
    "clipped": lambda x: x.clip(-np.abs(x).max() / 2, np.abs(x).max() / 2),
    "dc": lambda x: x + 0.5 * x.std(),
    "hum": hum,
    "exchanged": lambda x: x[::-1],
}


@dataclass(frozen=True)
class Recording:
    """(2, samples) heard in a place; direction of a single source, or ""; own, defects of its clips by themselves."""

    place: str
    direction: str
    own: frozenset[str]
    stereo: np.ndarray


def recordings(corpus: Corpus, split: str, count: int, scratch: Path) -> Iterator[Recording]:
    own = cache(lambda clip: {finding.what for finding in report(corpus.pack(split).read(clip)[None]).findings})
    conf, pack = load_config(PlacesConf, Path("conf/places.yaml")), corpus.pack(split)
    conf = replace(conf, places={name: own for name, own in conf.places.items() if name in KINDS})
    for name, place in places(conf, corpus, scratch, 1).items():
        sampler = SceneSampler(load_datadir(corpus.data / split), place.bank, [SOUNDS])
        scenes = [scene for size in (1, 2, 3) for scene in sampler.fixed([3], size, -(-count // 3), name)]
        for scene in progress(scenes[:count], desc=name):
            x = render(scene, pack, place.bank, SECONDS * SAMPLE_RATE).double().numpy()
            direction = scene.sources[0].direction if scene.size == 1 else ""
            defects = frozenset().union(*(own(source.clip) for source in scene.sources))
            yield Recording(name, direction, defects, x * 0.5 / np.abs(x).max())


def report(x: np.ndarray, direction: str = ""):
    block = np.ascontiguousarray(x.T, dtype=np.float32)
    return examine(Stream("x", SAMPLE_RATE, len(x), x.shape[1] / SAMPLE_RATE, iter([block])), direction)


def examined(recordings: Iterable[Recording]) -> tuple[list[list], dict[str, list[bool]]]:
    """Rows of place, kind right, how sure and what was found without reason in good recordings; defect -> whether it
    was found."""
    rows, found = [], {}
    for number, good in enumerate(recordings):
        plain, defect = report(good.stereo, good.direction), list(DEFECTS)[number % len(DEFECTS)]
        kind, alarms = next(iter(plain.kinds), "none"), {finding.what for finding in plain.findings} - good.own
        rows.append([good.place, kind == KINDS[good.place], plain.kinds.get(kind, 0.0), alarms])
        if defect == "exchanged" and good.direction in ("", "front"):
            continue
        told = report(DEFECTS[defect](good.stereo), good.direction if defect == "exchanged" else "")
        found.setdefault(defect, []).append(defect in [finding.what for finding in told.findings])
    return rows, found


def percent(values: Iterable) -> str:
    return f"{100 * np.mean(list(values)):.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--dump", type=Path, required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--count", type=int, default=200, help="recordings of each place")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        corpus = Corpus(args.data, args.dump)
        rows, found = examined(recordings(corpus, args.split, args.count, Path(scratch)))
    lines = []
    for name in dict.fromkeys(row[0] for row in rows):
        _, right, sure, alarms = zip(*(row for row in rows if row[0] == name), strict=True)
        which = " ".join(sorted({what for found in alarms for what in found}))
        lines.append([name, len(right), percent(right), percent(sure), percent(map(bool, alarms)), which])
    print(table(["place", "n", "kind right, %", "how sure, %", "false alarms, %", "which"], lines), "\n")
    print(table(["defect", "n", "found, %"], [[defect, len(own), percent(own)] for defect, own in found.items()]))


if __name__ == "__main__":
    main()
