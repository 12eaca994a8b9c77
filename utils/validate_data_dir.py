#!/usr/bin/env python3
"""Check data directories (wav.scp, text, caption2clip, utt2label); exit 1 with a short list of problems.

With several directories, e.g. data/mini/{train,valid,test}, also check that they share no clip and no
original recording (clip2source). Uses the standard library only; spclap/data/datadir.py refuses the same, and a test
holds the two together.
"""

import argparse
import os
import re
import sys
import unicodedata
from itertools import combinations
from pathlib import Path

SHOWN = 5  # problems of one sort that are listed
REQUIRED = ("wav.scp", "text", "caption2clip", "utt2label")
OPTIONAL = ("clip2source", "utt2event")
FILLERS = "\u115f\u1160\u2800\u3164\uffa0"  # letters and symbols that show nothing
LFS = b"version https://git-lfs"  # what Git LFS leaves where a file was not fetched


def visible(text: str) -> bool:
    """Whether there is anything to read: more than white space, characters of no width and marks without a letter."""
    return any(unicodedata.category(char)[0] in "LNPS" and char not in FILLERS for char in text)


def is_name(text: str) -> bool:
    """Whether a text can be a key or a label: one word, all of which can be seen."""
    return visible(text) and text.isprintable() and " " not in text


def problem_of(key: str, value: str) -> str:
    """What is wrong with a line of a table, or nothing."""
    if key and not value:
        return f"key `{key}` has no value; write `key value` or remove the line"
    if not is_name(key):
        return f"key {key!r} is empty or has white space or characters that cannot be seen; rename it"
    if not visible(value) or len(value.splitlines()) != 1:
        return f"value of `{key}` is {value!r}; it must be one line of text that can be seen"
    return ""


def read_table(path: Path, problems: list[str]) -> dict[str, str]:
    """Lines of a key, spaces or tabs, and a value; what is wrong with them goes to `problems`, in file order."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path}: cannot be read as UTF-8 text: {error}; correct it or rerun stage 0")
        return {}
    if lines[-1] == "":
        lines.pop()
    table: dict[str, str] = {}
    last, found = "", []
    for number, line in enumerate(lines, 1):
        key, value = (*re.split(r"[ \t]+", line, maxsplit=1), "")[:2]
        value = value.strip()
        if not line.strip():
            found.append(f"{path}:{number}: empty line; remove it")
            continue
        if problem := problem_of(key, value):
            found.append(f"{path}:{number}: {problem}")
        elif key in table:
            found.append(f"{path}:{number}: duplicate key `{key}`; keep one line of it")
        elif key < last:
            found.append(f"{path}:{number}: key `{key}` comes after `{last}`; sort with LC_ALL=C sort -k1,1")
        table.setdefault(key, value)
        last = key
    problems += shortened(found)
    return table


def check_names(path: Path, table: dict[str, str], problems: list[str]) -> None:
    """Report values `name,name` of which one is no name."""
    wrong = {key: value for key, value in table.items() if value and not all(map(is_name, value.split(",")))}
    lines = [f"{path}: `{key}` has {value!r}" for key, value in wrong.items()]
    if lines:
        problems += [*shortened(lines), "  write label,label, each one word without white space"]


def audio_problem(path: str) -> str:
    """Why a file holds no sound, as far as its first bytes tell, or nothing."""
    if not os.path.isfile(path):
        return "no file"
    try:
        with open(path, "rb") as file:
            start = file.read(len(LFS))
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return "a Git LFS pointer (run git lfs pull)" if start == LFS else "" if start else "empty (0 bytes)"


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
    bad = [f"{scp}: {key}: {problem} {path}" for key, path in paths.items() if (problem := audio_problem(path))]
    if bad:
        problems += [*shortened(bad), "  correct the paths, fetch the files or rerun stage 0"]
    for name in tables.keys() & {"utt2label", "utt2event"}:
        check_names(folder / name, tables[name], problems)
    if folder.name == "train" and len(kinds := {value.split(",")[-1] for value in tables["utt2label"].values()}) == 1:
        problems.append(f"{folder}: all clips are of the kind {kinds.pop()}; a scene of two sources needs two kinds")
    owners = tables["caption2clip"]
    compare(f"{folder}/caption2clip", owners, "text", tables["text"], problems)
    compare(f"{folder}/caption2clip (clips)", owners.values(), "wav.scp", paths, problems)
    compare(f"{folder}/utt2label", tables["utt2label"], "wav.scp", paths, problems)
    for name in tables.keys() & set(OPTIONAL):
        compare(f"{folder}/{name}", tables[name], "wav.scp", paths, problems)
    return tables


def owned(tables: dict[str, dict[str, str]]) -> dict[str, set[str]]:
    """What a directory must share with no other one."""
    paths = tables["wav.scp"]
    recordings = tables["clip2source"].values() if "clip2source" in tables else paths
    return {"clip": set(paths), "audio file": set(paths.values()), "original recording": set(recordings)}


def check_pairs(tables: dict[Path, dict[str, dict[str, str]]], problems: list[str]) -> None:
    """Report clips, files and original recordings that two directories share."""
    for (one, first), (other, second) in combinations(tables.items(), 2):
        for what, keys in owned(first).items():
            if shared := keys & owned(second)[what]:
                problems.append(f"{one} and {other} share {len(shared)} {what}(s); keep each in one split:")
                problems.extend(shortened([f"  {key}" for key in sorted(shared)]))


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
