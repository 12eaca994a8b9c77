"""Stage 2, first half: all clips of a corpus, checked, at the recipe's sample rate, packed for random reading."""

import argparse
import logging
import shutil
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from spclap.bin import run_main
from spclap.data.audio import read_clip, shorten_silence
from spclap.data.config import load_config
from spclap.data.datadir import SPLITS, Clip, load_datadir
from spclap.data.pack import packed, write_pack
from spclap.data.stamp import Stamp, digest
from spclap.scene.conf import ClipConf, FeatsConf
from spclap.scene.corpus import Corpus


def prepare(clip: Clip, rate: int, conf: ClipConf) -> tuple[str, np.ndarray]:
    """Id and samples of a clip at `rate` Hz."""
    audio = read_clip(clip.path, rate, resample=conf.resample, mixdown=conf.mixdown, min_seconds=conf.min_seconds)
    if conf.max_silence is not None:
        audio = shorten_silence(audio, rate, conf.silence_db, conf.max_silence)
    return clip.id, audio


def pack(folder: Path, clips: list[Clip], rate: int, conf: ClipConf, nj: int) -> None:
    """Pack the clips that an interrupted run has not packed, read by `nj` processes."""
    known = packed(folder)
    left = [clip for clip in clips if clip.id not in known]
    if known:
        logging.info("%s: %d clips were packed before", folder, len(known))
    with ProcessPoolExecutor(max_workers=nj) as pool:
        found = pool.map(partial(prepare, rate=rate, conf=conf), left, chunksize=8)
        write_pack(folder, tqdm(found, total=len(left), desc=f"clips {folder.name}", unit="clip"), conf.dtype)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data/<corpus>, made by stage 0")
    parser.add_argument("--dump", type=Path, required=True, help="dump/<corpus>; its folder clips is written")
    parser.add_argument("--conf", type=Path, nargs="+", required=True, help="YAML files, later ones on top")
    parser.add_argument("--nj", type=int, default=2, help="processes that read clips")
    args = parser.parse_args()
    conf, folder = load_config(FeatsConf, *args.conf).clips, args.dump / "clips"
    rate = Corpus(args.data, args.dump).simu.sample_rate
    splits = {split: load_datadir(args.data / split) for split in SPLITS}
    lists = [args.data / split / "wav.scp" for split in SPLITS]
    sounds = (Path(clip.path) for clips in splits.values() for clip in clips)
    digests = digest(*lists, *(path for path in sounds if path.is_file()))
    stamp = Stamp(folder, conf=asdict(conf), sample_rate=rate, clips=digests)
    if stamp.fresh():
        logging.info("%s: up to date", folder)
        return
    if not stamp.interrupted():
        shutil.rmtree(folder, ignore_errors=True)
    stamp.begin()
    for split, clips in splits.items():
        pack(folder / split, clips, rate, conf, args.nj)
    stamp.write()


if __name__ == "__main__":
    run_main(main)
