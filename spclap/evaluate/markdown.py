"""Markdown tables, the one place where their cells are written."""

from collections.abc import Iterable


def cell(value: object) -> str:
    """Text of a cell on one line: a caption or file name with `|`, a backslash or a line break stays in its cell."""
    return " ".join(str(value).split()).replace("\\", "\\\\").replace("|", "\\|")


def table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """Lines of a table, without a line break after the last; every row has as many cells as `head`."""
    head, *lines = [list(map(cell, line)) for line in (head, *rows)]
    if wrong := [line for line in lines if len(line) != len(head)]:
        raise ValueError(f"a row of {len(wrong[0])} cells in a table of {len(head)}: {wrong[0]}")
    first, *rest = (f"| {' | '.join(line)} |" for line in (head, *lines))
    return "\n".join([first, "|" + "---|" * len(head), *rest])
