#!/usr/bin/env python3
"""Keep the figures of models without their weights: keep_results.py EXP/CORPUS DATA/CORPUS FOLDER

Copies scores.json and outcomes.npz of each model trained below EXP/CORPUS (seed0/scl, ...) into FOLDER, writes what
EXP/results.json says beyond them (differences, pooled seeds, what could be had) to FOLDER/compared.json, and of which
recordings the test scenes of DATA/CORPUS were made to FOLDER/recordings.json; what both hold of others stays.
"""

import argparse
import json
import re
import shutil
import sys
from pathlib import Path

from show_results import NO_MODELS, ResultsError, load, read, score_files

FILES = ("scores.json", "outcomes.npz")


def compares(row: dict) -> bool:
    """Whether no scores.json has such a row."""
    return "-" in row["tag"] or isinstance(row["seed"], str) or row["tag"] in NO_MODELS


def recordings(data: Path) -> dict[str, list]:
    """Names of recordings (`clips`), and for each set of fixed test scenes the numbers of those of every scene."""
    files, sets = sorted(data.glob("scenes/test_*_*src.jsonl")), {}
    if not files:
        raise ResultsError(f"{data}: no test scenes below it; run stage 1 (simulate) first")
    table = data / "test" / "clip2source"
    lines = table.read_text(encoding="utf-8").splitlines() if table.is_file() else []
    source_of = dict(line.split(maxsplit=1) for line in lines)
    for file in files:
        sounds, size = re.fullmatch(r"test_(\w+)_(\dsrc)", file.stem).groups()
        scenes = map(json.loads, file.read_text(encoding="utf-8").splitlines())
        clips = [[source["clip"] for source in scene["sources"]] for scene in scenes]
        sets[size if sounds == "clean" else f"{size}_{sounds}"] = [[source_of.get(c, c) for c in own] for own in clips]
    names = sorted({name for scenes in sets.values() for own in scenes for name in own})
    number = {name: index for index, name in enumerate(names)}
    return {"clips": names, **{name: [[number[one] for one in own] for own in sets[name]] for name in sets}}


def scenes_of(folders: list[Path]) -> str:
    """Digest of the test scenes on which models were scored."""
    scored = {load(folder / "scores.json")["scenes"] for folder in folders}
    if len(scored) != 1:
        raise ResultsError(
            f"{folders[0].parent}: models were scored on {len(scored)} sets of scenes; run stage 5 again"
        )
    return scored.pop()


def write(path: Path, items: list[str], brackets: str) -> None:
    """JSON, an item a line so that a change is seen, in one step."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(f"{brackets[0]}\n" + ",\n".join(items) + f"\n{brackets[1]}\n", encoding="utf-8")
    temporary.replace(path)


def keep(source: Path, data: Path, target: Path) -> int:
    """Number of models that were copied; ResultsError for a folder without any."""
    rows = [row for row in read(source.parent / "results.json") if row["corpus"] == source.name and compares(row)]
    folders = [path.parent for path in score_files(source) if (path.parent / "done.json").is_file()]
    if not folders:
        raise ResultsError(f"{source}: no trained model with a scores.json below it; run stage 5 (score) first")
    if missing := [folder / file for folder in folders for file in FILES if not (folder / file).is_file()]:
        raise ResultsError(f"{missing[0]}: not found; run stage 5 (score) again")
    made_of = {scenes_of(folders): recordings(data)}
    for folder in folders:
        copy = target / folder.relative_to(source)
        copy.mkdir(parents=True, exist_ok=True)
        for file in FILES:
            shutil.copy2(folder / file, copy / file)
    compared, known = target / "compared.json", target / "recordings.json"
    kept = {
        tuple(str(row[key]) for key in ("tag", "seed", "metric")): row
        for row in (*(read(compared) if compared.is_file() else []), *rows)
    }
    write(compared, list(map(json.dumps, kept.values())), "[]")
    made_of = (load(known) if known.is_file() else {}) | made_of
    write(
        known,
        [f"{json.dumps(digest)}: {json.dumps(own, separators=(',', ':'))}" for digest, own in made_of.items()],
        "{}",
    )
    return len(folders)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, metavar="EXP/CORPUS")
    parser.add_argument("data", type=Path, metavar="DATA/CORPUS")
    parser.add_argument("target", type=Path, metavar="FOLDER")
    args = parser.parse_args()
    try:
        count = keep(args.source, args.data, args.target)
    except (ResultsError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{count} models of {args.source} are kept in {args.target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
