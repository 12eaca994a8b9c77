#!/usr/bin/env python3
"""Keep the figures of models without their weights: keep_results.py EXP/CORPUS FOLDER

Copies scores.json and outcomes.npz of each model below EXP/CORPUS (seed0/scl, ...) into FOLDER, and writes what
EXP/results.json says beyond them (differences, pooled seeds, what could be had) to FOLDER/compared.json, where rows of
other models stay.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

from show_results import NO_MODELS, ResultsError, read, score_files

FILES = ("scores.json", "outcomes.npz")


def compares(row: dict) -> bool:
    """Whether no scores.json has such a row."""
    return "-" in row["tag"] or isinstance(row["seed"], str) or row["tag"] in NO_MODELS


def name(row: dict) -> tuple:
    return tuple(str(row[key]) for key in ("tag", "seed", "metric"))


def keep(source: Path, target: Path) -> int:
    """Number of models that were copied; ResultsError for a folder without any."""
    rows = [row for row in read(source.parent / "results.json") if row["corpus"] == source.name and compares(row)]
    folders = [path.parent for path in score_files(source)]
    if not folders:
        raise ResultsError(f"{source}: no scores.json below it; run stage 5 (score) first")
    if missing := [folder / file for folder in folders for file in FILES if not (folder / file).is_file()]:
        raise ResultsError(f"{missing[0]}: not found; run stage 5 (score) again")
    for folder in folders:
        copy = target / folder.relative_to(source)
        copy.mkdir(parents=True, exist_ok=True)
        for file in FILES:
            shutil.copy2(folder / file, copy / file)
    path = target / "compared.json"
    kept = {name(row): row for row in (*(read(path) if path.is_file() else []), *rows)}
    lines = ",\n".join(map(json.dumps, kept.values()))  # a row a line, so that a change is seen
    temporary = path.with_suffix(".tmp")
    temporary.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    temporary.replace(path)
    return len(folders)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, metavar="EXP/CORPUS")
    parser.add_argument("target", type=Path, metavar="FOLDER")
    args = parser.parse_args()
    try:
        count = keep(args.source, args.target)
    except (ResultsError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{count} models of {args.source} are kept in {args.target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
