"""Stage 0 of egs/esc50: a folder in the layout of ESC-50 as data/esc50/{train,valid,test}."""

import argparse
import hashlib
import logging
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from spclap.bin import run_main
from spclap.data.config import load_config, load_yaml
from spclap.data.csvfile import read_csv
from spclap.data.datadir import Clip, scp_path, visible, write_splits
from spclap.errors import DataError

CAPTIONS = Path(__file__).with_name("captions.yaml")
COLUMNS = ("filename", "fold", "category", "src_file")
SUFFIXES = (".wav", ".ogg")
HOW = (
    "give --esc50_dir DIR, a folder with meta/esc50.csv and audio/ "
    "(git clone https://github.com/karolpiczak/ESC-50, or the ESC-10 part of it)"
)


@dataclass(frozen=True)
class EscConf:
    """conf/data.yaml."""

    train_folds: list[int]
    test_folds: list[int]
    valid_folds: list[int]  # empty: valid_fraction of the recordings of train_folds
    valid_fraction: float
    seed: int

    def __post_init__(self):
        folds = [*self.train_folds, *self.valid_folds, *self.test_folds]
        if len(folds) != len(set(folds)):
            raise ValueError(f"a fold is in two splits: {sorted(folds)}; name each once")
        if not 0 < self.valid_fraction < 1:
            raise ValueError(f"valid_fraction is {self.valid_fraction}; it must be above 0 and below 1")


def read_meta(folder: Path | None) -> list[dict[str, str]]:
    """Rows of meta/esc50.csv; DataError for a missing folder, a file that is no such CSV and an empty cell."""
    if folder is None:
        raise DataError(f"egs/esc50 needs the recordings: {HOW}")
    path = folder / "meta" / "esc50.csv"
    head, lines = read_csv(path, COLUMNS, HOW)
    rows = []
    for line, cells in lines:
        row = dict(zip(head, cells, strict=False))
        lacking = [name for name in COLUMNS if not visible(row.get(name, ""))]
        if lacking or not row["fold"].isdigit():
            raise DataError(f"{path}:{line}: needs {', '.join(COLUMNS)} with a whole number as fold; got {row}")
        rows.append(row)
    return rows


def audio_file(folder: Path, name: str) -> Path:
    """The audio of a row: the name as it is, or with the other of .wav and .ogg."""
    named = folder / "audio" / name
    for path in (named, *(named.with_suffix(suffix) for suffix in SUFFIXES)):
        if path.is_file():
            return path
    raise DataError(f"{named}: not found, nor as {' or '.join(SUFFIXES)}; {HOW}")


def to_clip(row: dict[str, str], folder: Path, captions: dict[str, list[str]]) -> Clip:
    """A row as a clip; a class without captions of ours gets `the sound of <class>`."""
    category = re.sub(r"[\s,]+", "_", row["category"].strip())
    phrases = captions.get(category, [f"the sound of {category.replace('_', ' ')}"])
    clip = Path(row["filename"]).stem
    return Clip(clip, scp_path(audio_file(folder, row["filename"])), tuple(phrases), (category,), row["src_file"])


def hold_out(clips: list[Clip], fraction: float, seed: int) -> set[str]:
    """Sources of about `fraction` of the original recordings of each class, at least one where it has two.

    A recording that serves several classes counts in the first of them, so it goes to one side only.
    """
    by_class: dict[str, set[str]] = defaultdict(set)
    first: dict[str, str] = {}
    for clip in sorted(clips, key=lambda clip: (clip.labels, clip.id)):
        by_class[first.setdefault(clip.source, clip.labels[0])].add(clip.source)
    held: set[str] = set()
    for category in sorted(by_class):
        sources = sorted(by_class[category], key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).hexdigest())
        held.update(sources[: min(max(round(fraction * len(sources)), 1), len(sources) - 1)])
    return held


def split_clips(folds: dict[int, list[Clip]], conf: EscConf) -> dict[str, list[Clip]]:
    """Clips of each split, without those of folds that conf does not name."""
    wanted = {"train": conf.train_folds, "valid": conf.valid_folds, "test": conf.test_folds}
    absent = sorted({fold for names in wanted.values() for fold in names} - set(folds))
    if absent:
        raise DataError(
            f"conf/data.yaml names fold(s) {absent}, meta/esc50.csv has {sorted(folds)}; change train_folds, "
            f"valid_folds or test_folds"
        )
    splits = {split: [clip for fold in names for clip in folds[fold]] for split, names in wanted.items()}
    if not conf.valid_folds:
        held = hold_out(splits["train"], conf.valid_fraction, conf.seed)
        splits["valid"] = [clip for clip in splits["train"] if clip.source in held]
        splits["train"] = [clip for clip in splits["train"] if clip.source not in held]
    return splits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/esc50"), help="where the split directories go")
    parser.add_argument("--conf", type=Path, nargs="+", default=[Path("egs/esc50/conf/data.yaml")])
    parser.add_argument("--esc50_dir", type=Path, help="folder with meta/esc50.csv and audio/")
    args = parser.parse_args()
    conf = load_config(EscConf, *args.conf)
    captions = load_yaml(CAPTIONS)
    folds: dict[int, list[Clip]] = defaultdict(list)
    for row in read_meta(args.esc50_dir):
        folds[int(row["fold"])].append(to_clip(row, args.esc50_dir, captions))
    splits = split_clips(folds, conf)
    write_splits(args.out, splits)
    plain = sorted({clip.labels[0] for clips in folds.values() for clip in clips} - set(captions))
    if plain:
        logging.warning("captions.yaml lacks %s: captioned as `the sound of ...`", ", ".join(plain))
    logging.info("%s: %s", args.out, ", ".join(f"{split} {len(clips)}" for split, clips in splits.items()))


if __name__ == "__main__":
    run_main(main)
