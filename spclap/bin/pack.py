"""Stage 2: all clips of a corpus, checked, at the recipe's sample rate, packed for random reading."""

import argparse
import logging
import shutil
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import yaml

from spclap.bin import run_main
from spclap.data.audio import read_clip, shorten_silence
from spclap.data.config import load_config
from spclap.data.datadir import SHOWN, SPLITS, Clip, load_datadir
from spclap.data.files import atomic_write_text
from spclap.data.pack import packed, write_pack
from spclap.data.progress import progress
from spclap.data.stamp import Stamp, digest
from spclap.data.workers import workers
from spclap.errors import DataError
from spclap.scene.conf import ClipConf, FeatsConf
from spclap.space.array import SAMPLE_RATE

AT_ONCE = 512  # clips that are read ahead of the writer


def prepare(clip: Clip, rate: int, conf: ClipConf) -> tuple[str, np.ndarray | DataError]:
    """Id and samples of a clip at `rate` Hz, or what is wrong with it."""
    try:
        audio = read_clip(clip.path, rate, resample=conf.resample, mixdown=conf.mixdown, min_seconds=conf.min_seconds)
    except DataError as error:
        return clip.id, error
    if conf.max_silence is not None:
        audio = shorten_silence(audio, rate, conf.silence_db, conf.max_silence)
    return clip.id, audio


def pack(folder: Path, clips: list[Clip], rate: int, conf: ClipConf, pool: Executor) -> None:
    """Pack the clips that an interrupted run has not packed, read by `pool`; DataError names all bad ones."""
    known = packed(folder)
    left = [clip for clip in clips if clip.id not in known]
    if known:
        logging.info("%s: %d clips were packed before", folder, len(known))
    bad: list[DataError] = []
    read = partial(prepare, rate=rate, conf=conf)

    def good() -> Iterator[tuple[str, np.ndarray]]:
        for first in range(0, len(left), AT_ONCE):
            for clip, audio in pool.map(read, left[first : first + AT_ONCE], chunksize=8):
                bar.update()
                if isinstance(audio, DataError):
                    bad.append(audio)
                else:
                    yield clip, audio

    with progress(total=len(left), desc=f"clips {folder.name}", unit="clip") as bar:
        write_pack(folder, good(), conf.dtype)
    if bad:
        shutil.rmtree(folder, ignore_errors=True)  # clips that are replaced or removed make another pack
        more = f"\n... and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        raise DataError("\n".join(map(str, bad[:SHOWN])) + more)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data/<corpus>, made by stages 0 and 1")
    parser.add_argument("--dump", type=Path, required=True, help="dump/<corpus>; clips and feats.yaml are written")
    parser.add_argument("--conf", type=Path, nargs="+", required=True, help="YAML files, later ones on top")
    parser.add_argument("--nj", type=int, default=2, help="processes that read clips")
    args = parser.parse_args()
    feats, folder = load_config(FeatsConf, *args.conf), args.dump / "clips"
    conf = feats.clips
    splits = {split: load_datadir(args.data / split) for split in SPLITS}
    lists = [args.data / split / "wav.scp" for split in SPLITS]
    sounds = (Path(clip.path) for clips in splits.values() for clip in clips)
    digests = digest(*lists, *(path for path in sounds if path.is_file()))
    stamp = Stamp(folder, conf=asdict(conf), sample_rate=SAMPLE_RATE, clips=digests)
    if stamp.fresh():
        logging.info("%s: up to date", folder)
    else:
        stamp.begin(clear=[folder / split for split in SPLITS])
        with workers(args.nj) as pool:  # one for all splits: each worker takes seconds to import what it needs
            for split, clips in splits.items():
                pack(folder / split, clips, SAMPLE_RATE, conf, pool)
        stamp.write(path for split in SPLITS for path in (folder / split).iterdir())
    kept, text = args.dump / "feats.yaml", yaml.safe_dump(asdict(feats), sort_keys=False)
    if not kept.is_file() or kept.read_text(encoding="utf-8") != text:
        atomic_write_text(kept, text)


if __name__ == "__main__":
    run_main(main)
