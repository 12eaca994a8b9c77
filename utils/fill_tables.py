#!/usr/bin/env python3
"""Write the tables of README.md, RESULTS.md and docs/ from the kept figures: python utils/fill_tables.py [--check]

docs/results/tables.yaml says which cell is which figure; a table stands in its page between `<!-- table: name -->` and
`<!-- end -->`. Exit code 1 for a figure with an interval in a sentence that no kept result has, and with --check for a
page that differs.
"""

import argparse
import re
import sys
from functools import cache
from pathlib import Path

import yaml
from show_results import NUMBERS, ResultsError, load, markdown, read_all, score_files
from show_results import figure as shown_row
from show_results import table as table_of_rows

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "docs" / "results"
TABLE = re.compile(r"<!-- table: .*?<!-- end -->", re.DOTALL)
FIGURE = re.compile(r"-?\d+\.\d+ \[-?\d+\.\d+, -?\d+\.\d+\]")


@cache
def wanted() -> dict:
    """Content of tables.yaml: `pages`, page -> table -> spec; `columns`, name -> column -> head."""
    return _yaml("tables.yaml")


@cache
def settings() -> dict:
    """Content of settings.yaml: corpus -> group -> what it is and its models."""
    return _yaml("settings.yaml")


def _yaml(name: str) -> dict:
    return yaml.safe_load((KEPT / name).read_text(encoding="utf-8"))


@cache
def rows() -> list[dict]:
    """Every kept result row."""
    return read_all([KEPT])


def shown(row: dict, sign: int = 1) -> str:
    """A figure with its interval, or that of the reversed difference."""
    value, *ends = (sign * row[name] for name in NUMBERS[:3])
    return shown_row(dict(zip(NUMBERS, (value, *sorted(ends)), strict=False)))


Cells = dict[tuple[str, ...], dict[str, str]]  # key -> column -> cell


@cache
def figures(source: str) -> Cells:
    """What a table is made `from`, see tables.yaml."""
    if source == "rows":
        return of_rows(rows())
    path = KEPT / source
    return of_record(load(path)) if path.suffix == ".json" else of_markdown(path.read_text(encoding="utf-8"))


def of_rows(kept: list[dict]) -> Cells:
    """Key: corpus, model, seeds."""
    found: Cells = {}
    for row in kept:
        found.setdefault((row["corpus"], row["tag"], str(row["seed"])), {})[row["metric"]] = shown(row)
    return found


def of_record(record: dict) -> Cells:
    """Of a record.json; key: model, and control if it is one."""
    models = record["models"].items()
    kept = {(name,): own["figures"] for name, own in models}
    kept |= {(name, control): found for name, own in models for control, found in own["controls"].items()}
    return {key: {metric: shown(row) for metric, row in found.items()} for key, found in kept.items()}


def of_markdown(text: str) -> Cells:
    """Of all tables of a page; key: the cells of the leading columns that are no figures."""
    found: Cells = {}
    for block in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
        head, _, *lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]
        for cells in lines:
            keys = next((i for i, cell in enumerate(cells) if re.match(r"-?\d+\.\d", cell)), len(cells))
            found.setdefault(tuple(cells[:keys]), {}).update(zip(head, cells, strict=True))
    return found


def cell(source: str, key: list, column: str) -> str:
    """A figure; several keys, a list of lists, give theirs with semicolons between. "-" where there is none."""
    if key and isinstance(key[0], list):
        return "; ".join(dict.fromkeys(cell(source, one, column) for one in key))
    found = figures(source)
    if (name := tuple(map(str, key))) not in found:
        raise ResultsError(f"{source}: has no row {', '.join(name)}")
    return found[name].get(column, "-")


def columns_of(own: str | dict) -> dict[str, str]:
    """Column -> head, of a spec or of the list of tables.yaml that it names."""
    lists = wanted()["columns"]
    if isinstance(own, str):
        own = lists[own]
    return {f"{own}_{rank}": head for rank, head in lists["ranks"].items()} if isinstance(own, str) else own


def table(spec: dict) -> str:
    """Markdown of a table of tables.yaml; its head says which kinds there are."""
    if corpus := spec.get("settings"):
        return settings_table(corpus)
    if of := spec.get("of"):
        return "\n\n".join(f"{name}:\n\n{group_table(*of, columns_of(name))}" for name in spec["columns"])
    source, columns, keys = spec["from"], columns_of(spec.get("columns", {})), spec.get("rows")
    if keys is None:
        head = [*spec["by"], *columns.values()]
        found = {key: own for key, own in figures(source).items() if len(key) == len(spec["by"])}
        lines = [[*key, *(own.get(column, "-") for column in columns)] for key, own in found.items()]
    elif metric := spec.get("metric"):
        head = ["", *next(iter(keys.values()))]
        lines = [[label, *(cell(source, key, metric) for key in own.values())] for label, own in keys.items()]
    else:
        head = ["", *columns.values()]
        lines = [[label, *(cell(source, key, column) for column in columns)] for label, key in keys.items()]
    if spec.get("turned"):
        head, *lines = map(list, zip(head, *lines, strict=True))
    return "\n".join(markdown(head, lines))


def group_table(corpus: str, group: str, columns: dict[str, str]) -> str:
    """Models of a group of settings.yaml and their differences, pooled seeds first."""
    models = list(settings()[corpus][group]["models"])

    def place(row: dict) -> tuple:
        parts = row["tag"].split("-")
        return len(parts), [models.index(part) for part in parts], -len(str(row["seed"])), str(row["seed"])

    own = [row for row in rows() if row["corpus"] == corpus and set(row["tag"].split("-")) <= set(models)]
    return table_of_rows(sorted(own, key=place), columns)


def settings_table(corpus: str) -> str:
    """Groups and models of a corpus: what each is, its seeds, who trained it and the digest of its test scenes."""
    lines = []
    for name, group in settings()[corpus].items():
        lines.append([f"**{name}**", f"{group['about']} ({group['day']})", "", "", ""])
        for model, own in group["models"].items():
            folders = sorted((KEPT / corpus).glob(f"seed*/{model}"))
            scenes = dict.fromkeys(load(path)["scenes"][:7] for folder in folders for path in score_files(folder))
            seeds = ", ".join(folder.parent.name.removeprefix("seed") for folder in folders)
            lines.append([f"`{model}`", own["what"], seeds, own["by"], ", ".join(scenes)])
    return "\n".join(markdown(["model", "what it is", "seeds", "trained by", "test scenes"], lines))


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
    """Every figure with its interval that is kept, as value or as difference."""
    texts = (path for path in KEPT.rglob("*.md") if str(path.relative_to(ROOT)) not in wanted()["pages"])
    found = {one for path in texts for one in FIGURE.findall(path.read_text(encoding="utf-8"))}
    return found | {shown(row, sign) for row in rows() for sign in (1, -1)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, tell what differs")
    args, faults, there = parser.parse_args(), [], known()
    for page, tables in wanted()["pages"].items():
        path = ROOT / page
        now = path.read_text(encoding="utf-8")
        text = filled(now, tables, page)
        if text != now and args.check:
            faults.append(f"{page}: differs from the kept figures; run python utils/fill_tables.py")
        elif text != now:
            path.write_text(text, encoding="utf-8")
        prose = TABLE.sub("", now)
        faults += [f"{page}: {one} is no kept figure" for one in FIGURE.findall(prose) if one not in there]
    print("\n".join(faults), file=sys.stderr, end="\n" if faults else "")
    return bool(faults)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ResultsError, OSError) as error:
        sys.exit(f"error: {error}")
