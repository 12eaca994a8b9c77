"""Stage 0 of egs/synth: generated sounds as data/synth/{train,valid,test}."""

import argparse
import io
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile

from spclap.bin import run_main
from spclap.data.config import load_config
from spclap.data.datadir import SPLITS, Clip, scp_path, write_splits
from spclap.data.files import atomic_path
from spclap.data.progress import progress
from spclap.data.stamp import Stamp, digest
from spclap.scene import synthetic

MIN_SECONDS = 0.5  # for at least one event of the slow kinds
MIN_RATE = 16000  # Hz, above the highest frequency of the sounds


@dataclass(frozen=True)
class SynthConf:
    """conf/data.yaml."""

    variants: dict[str, int]  # clips of a kind per split
    seconds: float
    sample_rate: int  # Hz
    seed: int

    def __post_init__(self):
        if sorted(self.variants) != sorted(SPLITS) or min(self.variants.values()) < 1:
            raise ValueError(f"variants is {self.variants}; it needs {', '.join(SPLITS)}, each at least 1")
        if self.seconds < MIN_SECONDS:
            raise ValueError(f"seconds is {self.seconds}; it must be at least {MIN_SECONDS}")
        if self.sample_rate < MIN_RATE:
            raise ValueError(f"sample_rate is {self.sample_rate} Hz; it must be at least {MIN_RATE}")


def clips_of(split: str, conf: SynthConf, folder: Path) -> list[tuple[Clip, synthetic.Kind, int]]:
    """(clip, kind, variant) of a split; the style alternates with the variant."""
    items = []
    for kind in synthetic.KINDS:
        for variant in range(conf.variants[split]):
            style = kind.styles[variant % 2]
            name = f"{kind.name}-{split}{variant:03d}"
            captions = (kind.specific.format(style), *kind.general)
            path = scp_path(folder / f"{name}.wav")
            items.append((Clip(name, path, captions, (f"{style}_{kind.name}", kind.name), name), kind, variant))
    return items


def write_sounds(splits: dict[str, list[tuple[Clip, synthetic.Kind, int]]], conf: SynthConf, folder: Path) -> None:
    """Render the clips that are missing, or all when conf or the generator has changed."""
    stamp = Stamp(folder, conf=asdict(conf), program=digest(Path(synthetic.__file__)))
    fresh = stamp.fresh()
    items = [(number, *item) for number, split in enumerate(SPLITS) for item in splits[split]]
    todo = [item for item in items if not (fresh and Path(item[1].path).exists())]
    if not todo:
        return
    stamp.begin()
    for number, clip, kind, variant in progress(todo, desc="sounds", unit="clip"):
        rng = np.random.default_rng([conf.seed, synthetic.KINDS.index(kind), number, variant])
        audio = synthetic.render(kind, rng, conf.seconds, conf.sample_rate, variant % 2)
        wav = io.BytesIO()
        soundfile.write(wav, audio, conf.sample_rate, subtype="PCM_16", format="WAV")
        with atomic_path(Path(clip.path)) as temporary:
            temporary.write_bytes(wav.getvalue())
    stamp.write()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/synth"), help="where splits and audio/ go")
    parser.add_argument("--conf", type=Path, nargs="+", default=[Path("egs/synth/conf/data.yaml")])
    args = parser.parse_args()
    conf = load_config(SynthConf, *args.conf)
    folder = args.out / "audio"
    splits = {split: clips_of(split, conf, folder) for split in SPLITS}
    write_sounds(splits, conf, folder)
    write_splits(args.out, {split: [clip for clip, _, _ in items] for split, items in splits.items()})
    logging.info("%s: %s", args.out, ", ".join(f"{split} {len(items)}" for split, items in splits.items()))


if __name__ == "__main__":
    run_main(main)
