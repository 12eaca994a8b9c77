"""Markdown tables."""

import re

import pytest

from spclap.evaluate.markdown import cell, table

AWKWARD = ["a|b", "a\\", "a\\|b", "two\nlines", "a\r\n\tb\u2028c", "", None, 3]


def cells_of(line: str) -> list[str]:
    """Cells of a line as GitHub reads it: a backslash takes away the meaning of what follows."""
    parts = re.findall(r"\\.|[^\\|]|\|", line)
    found = [""]
    for part in parts:
        found = [*found, ""] if part == "|" else [*found[:-1], found[-1] + part.removeprefix("\\")]
    return [text.strip() for text in found[1:-1]]


def test_every_cell_stays_one_cell():
    lines = table(["file | model", *range(len(AWKWARD) - 1)], [AWKWARD, AWKWARD[::-1]]).split("\n")
    assert len(lines) == 4 and lines[1] == "|" + "---|" * len(AWKWARD)
    read = [" ".join(str(value).split()) for value in AWKWARD]
    assert cells_of(lines[2]) == read and cells_of(lines[3]) == read[::-1]
    assert cells_of(lines[0])[0] == "file | model"
    assert cell("plain *text*") == "plain *text*"


def test_rows_fit_the_head():
    with pytest.raises(ValueError, match="a row of 1 cells in a table of 2"):
        table(["a", "b"], [[1]])
