#!/usr/bin/env python3
"""Write the tables of README.md, RESULTS.md and docs/ from the kept figures: python utils/fill_tables.py [--check]

docs/results/tables.yaml says which cell is which figure; a table stands in its page between `<!-- table: name -->` and
`<!-- end -->`. Pages that are figures alone are written whole. Exit code 1 for a figure with an interval that no kept
result has, and with --check for a page that differs.
"""

import argparse
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import yaml
from show_results import NUMBERS, ResultsError, read

ROOT = Path(__file__).resolve().parents[1]
FIGURE = re.compile(r"-?\d+\.\d+ \[-?\d+\.\d+, -?\d+\.\d+\]")
PAGES = ("README.md", "RESULTS.md")  # whose every figure is looked up


@cache
def figures(source: str) -> dict[tuple[str, ...], dict[str, str]]:
    """Key -> column -> cell of a folder of results (key: corpus, model, seeds) or of the first table of a Markdown file
    (key: the cells of its leading columns that are no figures)."""
    path = ROOT / source
    if path.suffix == ".md":
        return _of_markdown(path)
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for row in read(path):
        value, low, high, _ = (row[name] for name in NUMBERS)
        shown = f"{value:.1f}" if low == high == value else f"{value:.1f} [{low:.1f}, {high:.1f}]"
        found.setdefault((row["corpus"], row["tag"], str(row["seed"])), {})[row["metric"]] = shown
    return found


def _of_markdown(path: Path) -> dict[tuple[str, ...], dict[str, str]]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    found = {}
    for cells in rows:
        if len(cells) != len(head):
            break
        keys = next((i for i, cell in enumerate(cells) if re.match(r"-?\d+\.\d", cell)), len(cells))
        found[tuple(cells[:keys])] = dict(zip(head, cells, strict=True))
    return found


def cell(source: str, key: list, column: str) -> str:
    """A figure; several keys, a list of lists, give theirs with semicolons between. "-" where there is none."""
    if key and isinstance(key[0], list):
        return "; ".join(dict.fromkeys(cell(source, one, column) for one in key))
    rows = figures(source)
    if (name := tuple(map(str, key))) not in rows:
        raise ResultsError(f"{source}: has no row {', '.join(name)}")
    return rows[name].get(column, "-")


def table(spec: dict) -> str:
    """Markdown of a table of docs/results/tables.yaml: of rows' figures in `columns`, or of one `metric` for what each
    row names."""
    source, rows = spec["from"], spec["rows"]
    if metric := spec.get("metric"):
        lines = [["", *next(iter(rows.values()))]]
        lines += [[label, *(cell(source, key, metric) for key in own.values())] for label, own in rows.items()]
    else:
        lines = [["", *spec["columns"].values()]]
        lines += [[label, *(cell(source, key, column) for column in spec["columns"])] for label, key in rows.items()]
    if spec.get("turned"):
        lines = [list(line) for line in zip(*lines, strict=True)]
    first, *rest = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([first, "|" + "---|" * len(lines[0]), *rest])


def filled(text: str, tables: dict, page: str) -> str:
    """A page with its tables made anew; ResultsError for one that has no place in it."""
    for name, spec in tables.items():
        begin, end = f"<!-- table: {name} -->\n", "\n<!-- end -->"
        before, found, after = text.partition(begin)
        if not found or end not in after:
            raise ResultsError(f"{page}: has no `{begin.strip()}` with `<!-- end -->` after it")
        text = before + begin + table(spec) + after[after.index(end) :]
    return text


def known() -> set[str]:
    """Every figure with its interval in docs/results, as value or as difference."""
    found = set()
    for path in (ROOT / "docs" / "results").rglob("*.md"):
        found |= set(FIGURE.findall(path.read_text(encoding="utf-8")))
    for path in (ROOT / "docs" / "results").glob("*/results.json"):
        for row in read(path):
            value, low, high = (row[name] for name in NUMBERS[:3])
            found |= {f"{value:.1f} [{low:.1f}, {high:.1f}]", f"{-value:.1f} [{-high:.1f}, {-low:.1f}]"}
    return found


def pages() -> dict[str, str]:
    """Page -> its text as it must be."""
    wanted = yaml.safe_load((ROOT / "docs" / "results" / "tables.yaml").read_text(encoding="utf-8"))
    out = {page: filled((ROOT / page).read_text(encoding="utf-8"), own, page) for page, own in wanted["pages"].items()}
    for page, words in wanted["shown"].items():
        command = [sys.executable, str(ROOT / "utils" / "show_results.py"), *words.split()]
        out[page] = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, tell what differs")
    args, faults = parser.parse_args(), []
    for page, text in pages().items():
        path = ROOT / page
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        if args.check:
            faults.append(f"{page}: differs from the kept figures; run python utils/fill_tables.py")
        else:
            path.write_text(text, encoding="utf-8")
    there = known()
    for page in PAGES:
        lost = [one for one in FIGURE.findall((ROOT / page).read_text(encoding="utf-8")) if one not in there]
        faults += [f"{page}: {one} is no kept figure" for one in lost]
    print("\n".join(faults), file=sys.stderr, end="\n" if faults else "")
    return bool(faults)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ResultsError as error:
        sys.exit(f"error: {error}")
