#!/usr/bin/env python3
"""Check data directories (wav.scp, text, caption2clip, utt2label); exit 1 with a short list of problems.

With several directories, e.g. data/mini/{train,valid,test}, also check that they share no clip and no
original recording (clip2source). Uses the standard library only.
"""

import argparse
import os
import sys
from itertools import combinations
from pathlib import Path

SHOWN = 5  # problems of one sort that are listed
REQUIRED = ("wav.scp", "text", "caption2clip", "utt2label")
OPTIONAL = ("clip2source", "utt2event")


def read_table(path: Path, problems: list[str]) -> dict[str, str]:
    """`key value` lines; what is wrong with them goes to `problems`, in file order."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path}: cannot be read: {error}; rerun stage 0")
        return {}
    if lines[-1] == "":
        lines.pop()
    table: dict[str, str] = {}
    last, found = "", []
    for number, line in enumerate(lines, 1):
        key, _, value = line.partition(" ")
        if not line.strip():
            found.append(f"{path}:{number}: empty line; remove it")
        elif not key or not value.strip():
            found.append(f"{path}:{number}: key `{key}` has no value; write `key value` or remove the line")
        elif key in table:
            found.append(f"{path}:{number}: duplicate key `{key}`; keep one line of it")
        elif key < last:
            found.append(f"{path}:{number}: key `{key}` comes after `{last}`; sort with LC_ALL=C sort -k1,1")
        table.setdefault(key, value.strip())
        last = key
    problems += shortened(found)
    return table


def shortened(found: list[str]) -> list[str]:
    """The first problems, and how many more there are."""
    more = len(found) - SHOWN
    return found[:SHOWN] + ([f"  ... and {more} more"] if more > 0 else [])


def compare(name: str, keys, other: str, other_keys, problems: list[str]) -> None:
    """Report keys that only one of two tables has, diff-like."""
    lines = [f"  - {key}" for key in sorted(set(other_keys) - set(keys))]
    lines += [f"  + {key}" for key in sorted(set(keys) - set(other_keys))]
    if lines:
        problems.append(f"{name} lacks (-) or has more than (+) {other}; add or remove the lines, or rerun stage 0:")
        problems.extend(shortened(lines))


def check_dir(folder: Path, problems: list[str]) -> dict[str, dict[str, str]]:
    """Check one directory; returns its tables."""
    if not folder.is_dir():
        problems.append(f"{folder}: data directory not found; stage 0 makes it")
        return {name: {} for name in REQUIRED}
    names = [*REQUIRED, *(name for name in OPTIONAL if (folder / name).exists())]
    tables = {name: read_table(folder / name, problems) for name in names}
    paths = tables["wav.scp"]
    if not paths and (folder / "wav.scp").exists():
        problems.append(f"{folder / 'wav.scp'}: the split has no clips; add some or rerun stage 0")
    scp = folder / "wav.scp"
    missing = [f"{scp}: {key}: no file {path}" for key, path in paths.items() if not os.path.isfile(path)]
    if missing:
        problems += [*shortened(missing), "  correct the paths or rerun stage 0"]
    owners = tables["caption2clip"]
    compare(f"{folder}/caption2clip", owners, "text", tables["text"], problems)
    compare(f"{folder}/caption2clip (clips)", owners.values(), "wav.scp", paths, problems)
    compare(f"{folder}/utt2label", tables["utt2label"], "wav.scp", paths, problems)
    for name in tables.keys() & set(OPTIONAL):
        compare(f"{folder}/{name}", tables[name], "wav.scp", paths, problems)
    return tables


def check_pairs(tables: dict[Path, dict[str, dict[str, str]]], problems: list[str]) -> None:
    """Report clips and original recordings that two directories share."""
    for (one, first), (other, second) in combinations(tables.items(), 2):
        shared = {
            "clip": set(first["wav.scp"]) & set(second["wav.scp"]),
            "audio file": set(first["wav.scp"].values()) & set(second["wav.scp"].values()),
            "original recording": set(first.get("clip2source", {}).values())
            & set(second.get("clip2source", {}).values()),
        }
        for what, keys in shared.items():
            if keys:
                problems.append(f"{one} and {other} share {len(keys)} {what}(s); keep each in one split:")
                problems.extend(shortened([f"  {key}" for key in sorted(keys)]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dirs", nargs="+", type=Path, metavar="DIR")
    args = parser.parse_args()
    problems: list[str] = []
    tables = {folder: check_dir(folder, problems) for folder in dict.fromkeys(args.dirs)}
    check_pairs(tables, problems)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        return 1
    for folder, table in tables.items():
        print(f"{folder}: {len(table['wav.scp'])} clips, {len(table['text'])} captions, valid")
    return 0


if __name__ == "__main__":
    sys.exit(main())
