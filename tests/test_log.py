"""The index of verdicts at the head of docs/LOG.md."""

import re
from collections import Counter
from pathlib import Path

LOG = Path(__file__).resolve().parents[1] / "docs" / "LOG.md"
LINE = re.compile(r"- \[[^\[\]]+\]\(#([^()\s]+)\): \S.*")


def anchors_of(headings: list[str]) -> list[str]:
    """Anchors as GitHub gives them: a heading that comes again has its count behind it."""
    seen, found = Counter(), []
    for heading in headings:
        anchor = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        found.append(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return found


def test_anchors_are_githubs():
    assert anchors_of(["A `b_c`, d's (2026-11-28)", "E & f.md", "E & f.md"]) == [
        "a-b_c-ds-2026-11-28",
        "e--fmd",
        "e--fmd-1",
    ]


def test_the_index_has_one_line_a_section_newest_first():
    head, *sections = re.split(r"^## ", LOG.read_text(encoding="utf-8"), flags=re.MULTILINE)
    anchors = anchors_of([section.split("\n", 1)[0] for section in sections])
    lines = [line for line in head.splitlines() if line.startswith("- ")]
    matches = [LINE.fullmatch(line) for line in lines]
    assert [line for line, match in zip(lines, matches, strict=True) if not match] == []
    links = [match[1] for match in matches if match]
    assert sorted(set(links) - set(anchors)) == [], "links to no section"
    assert {anchor: links.count(anchor) for anchor in anchors if links.count(anchor) != 1} == {}, "not one line"
    assert anchors and links == anchors[::-1], "the index is not newest first"
    assert [line for line in lines if len(line) > 140] == []
