"""Stage 1: rooms, RIRs and the fixed scenes of validation and test."""

import argparse
import logging
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import yaml

from spclap.bin import run_main
from spclap.data.config import load_config
from spclap.data.datadir import SPLITS, check_splits, load_datadir
from spclap.data.files import atomic_write_text
from spclap.data.stamp import Stamp, digest
from spclap.scene.bank import RirBank
from spclap.scene.conf import SimuConf
from spclap.scene.corpus import scenes_path
from spclap.scene.rooms import write_bank
from spclap.scene.sampler import SceneSampler
from spclap.scene.scene import write_scenes
from spclap.space.array import array_of


def write_rooms(data: Path, conf: SimuConf, nj: int) -> None:
    """RIR banks of all splits, data/<corpus>/rirs/<split>/."""
    families = conf.arrays(conf.settings)
    heads = digest(*(array_of(family).path for family in families if family.startswith("head:")))
    for number, split in enumerate(SPLITS):
        folder = data / "rirs" / split
        settings = {name: asdict(room) for name, room in conf.room_confs.items()}
        stamp = Stamp(folder, split=split, settings=settings, rir_seconds=conf.rir_seconds, seed=conf.seed, heads=heads)
        if stamp.fresh():
            logging.info("%s: up to date", folder)
            continue
        stamp.begin()
        write_bank(folder, split, conf.room_confs, conf.rir_seconds, [conf.seed, number], nj)
        stamp.write([folder / "rirs.npy", folder / "table.csv"])


def write_fixed_scenes(data: Path, conf: SimuConf) -> None:
    """data/<corpus>/scenes/<split>_<sounds>_<n>src.jsonl, and simu.yaml with what they are made from."""
    folder = data / "scenes"
    lists = [data / split / name for split in SPLITS for name in ("text", "caption2clip", "utt2label")]
    stamp = Stamp(folder, conf=asdict(conf), lists=digest(*lists))
    if stamp.fresh():
        logging.info("%s: up to date", folder)
        return
    stamp.begin()
    made = [data / "simu.yaml"]
    atomic_write_text(made[0], yaml.safe_dump(asdict(conf), sort_keys=False))
    for sounds, split, n_sources, count in wanted_scenes(conf):
        bank, how = RirBank(data / "rirs" / split), conf.sounding([sounds])
        sampler = SceneSampler(load_datadir(data / split), bank, how, [conf.scenes.rooms])
        name = f"{split}-{sounds}-{n_sources}src"
        scenes = sampler.fixed([conf.seed, SPLITS.index(split)], n_sources, count, name)
        made.append(scenes_path(data, split, n_sources, sounds))
        write_scenes(made[-1], scenes)
        logging.info("%s: %d %s scenes of %d source(s)", split, len(scenes), sounds, n_sources)
    stamp.write(made)


def wanted_scenes(conf: SimuConf) -> Iterator[tuple[str, str, int, int]]:
    """Sounds, split, number of sources and number of scenes."""
    for sounds, splits in conf.scenes.fixed.items():
        for split, counts in splits.items():
            yield from ((sounds, split, n_sources, count) for n_sources, count in counts.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data/<corpus>, made by stage 0")
    parser.add_argument("--conf", type=Path, nargs="+", required=True, help="YAML files, later ones on top")
    parser.add_argument("--nj", type=int, default=2, help="processes")
    args = parser.parse_args()
    conf = load_config(SimuConf, *args.conf)
    check_splits({split: load_datadir(args.data / split) for split in SPLITS})
    write_rooms(args.data, conf, args.nj)
    write_fixed_scenes(args.data, conf)


if __name__ == "__main__":
    run_main(main)
