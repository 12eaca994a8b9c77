"""Stage 1: rooms, RIRs and the fixed scenes of validation and test."""

import argparse
import logging
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
    """data/<corpus>/scenes/<split>_<n>src.jsonl, and simu.yaml with what they are made from."""
    folder = data / "scenes"
    lists = [data / split / name for split in SPLITS for name in ("text", "caption2clip", "utt2label")]
    stamp = Stamp(folder, conf=asdict(conf), lists=digest(*lists))
    if stamp.fresh():
        logging.info("%s: up to date", folder)
        return
    stamp.begin()
    made = [data / "simu.yaml"]
    atomic_write_text(made[0], yaml.safe_dump(asdict(conf), sort_keys=False))
    for split, counts in conf.scenes.fixed.items():
        bank = RirBank(data / "rirs" / split)
        sampler = SceneSampler(load_datadir(data / split), bank, conf.scenes, [conf.scenes.rooms])
        for n_sources, count in counts.items():
            scenes = sampler.fixed([conf.seed, SPLITS.index(split)], n_sources, count, f"{split}-{n_sources}src")
            made.append(folder / f"{split}_{n_sources}src.jsonl")
            write_scenes(made[-1], scenes)
            logging.info("%s: %d scenes of %d source(s)", split, len(scenes), n_sources)
    stamp.write(made)


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
