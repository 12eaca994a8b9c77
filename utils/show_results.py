#!/usr/bin/env python3
"""Print results as Markdown tables: show_results.py [--full] [--provenance] PATH [PATH ...]

PATH is a results.json, or a folder: its results.json if there is one, else every scores.json below it (and
compared.json, where figures are kept), except those of models that a retraining has set aside (folders named *.old1,
*.old2, ...). Several PATHs are compared in one table, whose first column tells them apart.
"""

import argparse
import json
import os
import sys
from pathlib import Path

NO_MODELS = ("ceiling", "direct_sound")  # rows that say what could be had, shown last
NUMBERS = ("value", "low", "high", "n")
DOCUMENTS = {  # what else is written below a folder of results
    "Size and speed": "**/architectures.md",
    "The paper's Table 1": "**/table1*/table.md",
    "In other places": "**/places*/table.md",
    "Captions": "**/seed*/captions.md",
}
KEYS = {**dict.fromkeys(("tag", "corpus", "metric"), str), **dict.fromkeys(NUMBERS, (int, float)), "seed": (int, str)}
SIZES = ("1src", "2src", "3src")
MAIN = [f"r1_{way}_{size}" for size in SIZES for way in ("a2t", "t2a")]
MAIN += ["direction_1src", "direction_2src", "assignment_2src", "assignment_3src"]
REAL = ["direction_1src_real", "assignment_2src_real", "reworded_direction_1src", "reworded_assignment_2src"]
ORIGINS = ("protocol", "git", "torch", "machine")  # keys of scores.json that --provenance tells
FULL = [f"{what}_{way}_{size}" for size in SIZES for what in ("r5", "r10", "meanrank") for way in ("a2t", "t2a")]


class ResultsError(Exception):
    """A path that holds no results."""


def load(path: Path) -> dict | list:
    """Content of a JSON file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ResultsError(f"{path}: not found; run stage 5 (score) first") from None
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ResultsError(f"{path}: not JSON: {error}") from None


def score_files(folder: Path) -> list[Path]:
    """Every scores.json below a folder, without those of models that were set aside there."""
    return [file for file in sorted(folder.rglob("scores.json")) if ".old" not in file.relative_to(folder).parent.name]


def check(row: object, path: Path) -> None:
    """Raise ResultsError unless the row has all keys, each with a value of its type."""
    if not isinstance(row, dict):
        raise ResultsError(f"{path}: a result is not an object: {row}")
    for key, types in KEYS.items():
        if key not in row:
            raise ResultsError(f"{path}: a result lacks the key `{key}`: {row}")
        if not isinstance(row[key], types):
            raise ResultsError(f"{path}: the key `{key}` has a value of the wrong type: {row}")


def read(path: Path) -> list[dict]:
    """Result rows of a file, or of the results.json of a folder, or of all scores.json and compared.json below it."""
    if path.is_dir():
        kept = [*score_files(path), *sorted(path.rglob("compared.json"))]
        files = [path / "results.json"] if (path / "results.json").is_file() else kept
        if not files:
            raise ResultsError(f"{path}: no scores.json below it; run stage 5 (score) first")
        return [row for file in files for row in read(file)]
    content = load(path)
    rows = content.get("results") if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise ResultsError(f"{path}: no list of results in it")
    for row in rows:
        check(row, path)
    return rows


def read_all(paths: list[Path]) -> list[dict]:
    """Rows of all paths; with more than one, each row says `from` which it is."""
    paths = list(dict.fromkeys(paths))
    return merge([{"from": str(path) if len(paths) > 1 else "", **row} for path in paths for row in read(path)])


def merge(rows: list[dict]) -> list[dict]:
    """Rows without repetitions; two figures for the same thing cannot stand in one cell, so they are an error."""
    found: dict[tuple, dict] = {}
    for row in rows:
        name = tuple(row[key] for key in ("corpus", "tag", "seed", "metric", "from"))
        first = found.setdefault(name, row)
        if first is not row and any(first[key] != row[key] for key in NUMBERS):
            what = "corpus {}, tag {}, seed {}, metric {}".format(*name[:4])
            two = f"{figure(first)} of n = {first['n']} and {figure(row)} of n = {row['n']}"
            raise ResultsError(f"{what}: two figures, {two}; show their files in separate calls")
    return list(found.values())


def provenance(folders: list[Path]) -> str:
    """How the figures below folders were made: protocol, environment, and wall time of each stage."""
    protocols: dict[str, str] = {}
    runs: dict[tuple, list[str]] = {}  # models of a run may have been scored at different times
    for file in [file for folder in folders for file in score_files(folder)]:
        score = load(file)
        if missing := [key for key in ORIGINS if key not in score]:
            raise ResultsError(f"{file}: lacks the key `{missing[0]}`; run stage 5 (score) again")
        protocols |= score["protocol"]
        runs.setdefault((file.parents[1], *(score[key] for key in ORIGINS[1:])), []).append(file.parent.name)
    head = ["run", "models", "git at scoring", *ORIGINS[2:], "seconds of stages 0 to 5, last time each made something"]
    rows = [[run, ", ".join(models), *made, stage_times(run)] for (run, *made), models in runs.items()]
    lines = ["### Protocol", "", *(f"- {name}: {text}" for name, text in protocols.items()), "", "### Runs", ""]
    return "\n".join([*lines, *markdown(head, rows)])


def stage_times(run: Path) -> str:
    """Seconds of stages 0 to 5 when they last made something, - for a stage that never did."""
    log = run / "stage_times.tsv"
    lines = [line.split("\t") for line in log.read_text(encoding="utf-8").splitlines()] if log.is_file() else []
    last = {line[0]: line[1] for line in lines}
    return ", ".join(last.get(str(stage), "-") for stage in range(6))


def cell(value: object) -> str:
    """Text of a table's cell: on one line, and what would end the cell escaped."""
    return " ".join(str(value).split()).replace("\\", "\\\\").replace("|", "\\|")


def markdown(head: list, rows: list[list]) -> list[str]:
    """Lines of a table."""
    first, *rest = (f"| {' | '.join(map(cell, line))} |" for line in (head, *rows))
    return [first, "|" + "---|" * len(head), *rest]


def figure(row: dict | None) -> str:
    """`71.5 [67.0, 76.0]`, with ` ±1.2` behind it over seeds, `71.5` for what is exact, or - for nothing."""
    if row is None:
        return "-"
    exact = row["low"] == row["high"] == row["value"]
    interval = "" if exact else f" [{row['low']:.1f}, {row['high']:.1f}]"
    return f"{row['value']:.1f}{interval}" + (f" ±{row['seed_sd']:.1f}" if "seed_sd" in row else "")


def table(rows: list[dict], metrics: list[str] | dict[str, str]) -> str:
    """One line per path, tag and seed; columns and lines without any figure are left out. metrics: with their heads, if
    those are not their names."""
    words = metrics if isinstance(metrics, dict) else dict(zip(metrics, metrics, strict=True))
    names = [*(["from"] if any(row["from"] for row in rows) else []), "tag", "seed"]
    rows = [row for row in rows if row["metric"] in metrics]
    if not rows:
        return "None of the metrics of this table (--full shows R@5, R@10 and mean rank)."
    found = {(*(row[name] for name in names), row["metric"]): row for row in rows}
    lines = list(dict.fromkeys(key[:-1] for key in found))
    metrics = [metric for metric in metrics if any(row["metric"] == metric for row in rows)]
    head = [*("model" if name == "tag" else name for name in names), *map(words.get, metrics)]
    cells = [[*line, *(figure(found.get((*line, metric))) for metric in metrics)] for line in lines]
    out = markdown(head, cells)
    counts = {metric: sorted({row["n"] for row in rows if row["metric"] == metric}) for metric in metrics}
    out += ["", "n: " + "; ".join(f"{words[metric]} {'/'.join(map(str, n))}" for metric, n in counts.items())]
    if clips := sorted({row["clips"] for row in rows if "clips" in row}):
        out[-1] += f"; intervals over the {'/'.join(map(str, clips))} recordings that the scenes were made of"
    if any("seed_sd" in row for row in rows):
        out[-1] += "; ±: standard deviation over seeds"
    return "\n".join(out)


def report(rows: list[dict], metrics: list[str]) -> str:
    """Tables per corpus: models, then paired differences."""
    parts = []
    for corpus in dict.fromkeys(row["corpus"] for row in rows):
        own = [row for row in rows if row["corpus"] == corpus]
        models = sorted((row for row in own if "-" not in row["tag"]), key=lambda row: row["tag"] in NO_MODELS)
        pairs = [row for row in own if "-" in row["tag"]]
        if models:
            parts += [f"### {corpus}: percent, with 95% intervals", table(models, metrics)]
        if pairs:
            parts += [f"### {corpus}: paired differences, points", table(pairs, metrics)]
    return "\n\n".join(parts)


def documents(folders: list[Path]) -> list[str]:
    """What other programs wrote beside the scores of folders, under headings."""
    return [
        f"## {what}, {path.parent}\n\n{path.read_text(encoding='utf-8').strip()}"
        for what, pattern in DOCUMENTS.items()
        for folder in folders
        for path in sorted(folder.glob(pattern))
    ]


def command() -> str:
    """How this program was called, with paths as from the folder it was called in."""
    program, *arguments = (os.path.relpath(word) if os.path.isabs(word) else word for word in sys.argv)
    return " ".join(["python", program, *arguments])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH")
    parser.add_argument(
        "--full",
        action="store_true",
        help="R@5, R@10, mean rank and what other programs wrote too",
    )
    parser.add_argument("--provenance", action="store_true", help="protocol, environment and times of folders too")
    args = parser.parse_args()
    try:
        rows = read_all(args.paths)
        origins = [provenance([path for path in args.paths if path.is_dir()])] if args.provenance else []
    except ResultsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    head = ["# Results", f"Made by `{command()}`."] if args.provenance else []
    further = ["## R@5, R@10 and mean rank", report(rows, FULL)] if args.full else []
    if args.full:
        further += documents([path for path in args.paths if path.is_dir()])
    if any(row["metric"] in REAL for row in rows):
        origins = ["## With pauses and noise, and in other words", report(rows, REAL), *origins]
    print("\n\n".join([*head, report(rows, MAIN), *origins, *further]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
