#!/usr/bin/env python3
"""Write the tables of docs/config.md from the files of conf/ and their comments: python utils/config_page.py [--check]

What a key means is the comment on its lines, or the block of comments above it; a mapping of which no key has a comment
is one row. Exit code 1 for a key that has none in any of a table's files, and with --check for a page that differs.
"""

import argparse
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
PAGE = "docs/config.md"
TRAINING = ("contrastive", "scl", "single", "multi", "masks", "seld", "seld_directions", "caption")
TABLES = {
    "model": ["model/default"], "train": [f"train/{name}" for name in TRAINING],
    **{name: [name] for name in ("simu", "feats", "score", "caption", "places", "table1")},
}  # fmt: skip
COMMENT = re.compile(r"(?:^|\s)#\s*(.*)$")
WIDTH = 100  # letters of a value
Row = tuple[str, str, str]  # key, value, meaning


def comments(lines: list[str], first: int, last: int) -> str:
    """Those on lines `first` to `last`, else those on the whole lines right above."""
    if own := [found[1] for line in lines[first : last + 1] if (found := COMMENT.search(line))]:
        return " ".join(own)
    above = first
    while above and lines[above - 1].lstrip().startswith("#"):
        above -= 1
    return " ".join(COMMENT.search(line)[1] for line in lines[above:first]) if above else ""  # 0: the head of the file


def rows(node: yaml.MappingNode, lines: list[str], prefix: str = "") -> Iterator[Row]:
    """Of a mapping of the file with these lines, and of those in it."""
    for key, value in node.value:
        name, first, inner = f"{prefix}{key.value}", key.start_mark.line, []
        block = isinstance(value, yaml.CollectionNode) and not value.flow_style
        if block and isinstance(value, yaml.MappingNode):
            inner = list(rows(value, lines, f"{name}."))
        parted = any(meaning for *_, meaning in inner)
        of_key = block or getattr(value, "style", None) == "|"
        meaning = comments(lines, first, first if of_key else value.end_mark.line)
        if meaning or not parted:
            yield name, "" if parted else shown(value), meaning
        yield from inner if parted else ()


def shown(node: yaml.Node) -> str:
    """A value in one short line of YAML."""
    value = yaml.SafeLoader("").construct_object(node, deep=True)
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True)
    return f"`{textwrap.shorten(text.removesuffix('...' + chr(10)), WIDTH, placeholder=' ...')}`"


def table(names: list[str]) -> str:
    """Keys of files below conf/, each once: what it is in which of them, and what it means. ValueError for one without
    a comment."""
    values: dict[str, dict[str, list[str]]] = {}
    meanings: dict[str, dict[str, None]] = {}
    for name in names:
        text = (ROOT / "conf" / f"{name}.yaml").read_text(encoding="utf-8")
        for key, value, meaning in rows(yaml.compose(text, Loader=yaml.SafeLoader), text.split("\n")):
            values.setdefault(key, {}).setdefault(value, []).append(name)
            meanings.setdefault(key, {})[meaning] = None
    lines = ["| key | value | meaning |", "|---|---|---|"]
    for key, own in values.items():
        if not (meaning := "; ".join(filter(None, meanings[key]))):
            path = f"conf/{min(own.values())[0]}.yaml"
            raise ValueError(f"{path}: `{key}` has no comment; say what it means, with its unit")
        cells = {value: ", ".join(file.rpartition("/")[2] for file in files) for value, files in own.items()}
        cell = "<br>".join(f"{value} {files}" if len(names) > 1 else value for value, files in cells.items())
        lines.append(f"| `{key}` | {cell} | {meaning} |")
    return "\n".join(lines)


def filled(text: str) -> str:
    """The page with its tables made anew; ValueError for a table that has no place in it."""
    for name, files in TABLES.items():
        begin, end = f"<!-- keys: {name} -->\n", "\n<!-- end -->"
        before, found, after = text.partition(begin)
        if not found or end not in after:
            raise ValueError(f"{PAGE}: has no `{begin.strip()}` with `<!-- end -->` after it")
        text = before + begin + table(files) + after[after.index(end) :]
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, tell whether the page differs")
    args, path = parser.parse_args(), ROOT / PAGE
    now = path.read_text(encoding="utf-8")
    text = filled(now)
    if args.check and text != now:
        raise ValueError(f"{PAGE}: differs from the files of conf/; run python utils/config_page.py")
    if text != now:
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError, yaml.YAMLError) as error:
        sys.exit(f"error: {error}")
