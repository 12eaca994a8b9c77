"""Links of pages lead to files and headings that are there, and docs/README.md to every page."""

import re
from pathlib import Path

import pytest
from programs import ROOT

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "RESULTS.md", ROOT / "conf" / "README.md", *sorted(DOCS.rglob("*.md"))]
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def links(page: Path) -> list[str]:
    """Those that lead to no other site."""
    found = re.findall(r"\]\(([^)\s]+)\)", CODE.sub("", page.read_text(encoding="utf-8")))
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def anchors(page: Path) -> list[str]:
    """What GitHub names the headings of a page: words in small letters with hyphens, numbered where they recur."""
    names: list[str] = []
    for heading in re.findall(r"^#+ (.+?)\s*$", CODE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        names.append(re.sub(r"[^\w\- ]", "", words).replace(" ", "-"))
    return [f"{name}-{names[:row].count(name)}" if name in names[:row] else name for row, name in enumerate(names)]


def broken(page: Path) -> list[str]:
    """Links of a page that lead nowhere."""
    found = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


def test_links_lead_somewhere():
    assert sum(len(links(page)) for page in PAGES) > 120
    assert {str(page.relative_to(ROOT)): broken(page) for page in PAGES if broken(page)} == {}


@pytest.mark.parametrize("link", ["gone.md", "b.md#gone", "#gone", "b.md#all-of-it-2"])
def test_a_link_that_leads_nowhere_is_told(link, tmp_path):
    (tmp_path / "b.md").write_text("# All of `it`?\n\n## All of [it](a.md)\n\n```\n# gone\n```\n")
    (tmp_path / "a.md").write_text(
        f"# A\n\n[1](b.md#all-of-it) [2](b.md#all-of-it-1) [3](#a) [4](https://x.y) [5]({link})\n"
    )
    assert broken(tmp_path / "a.md") == [link] and broken(tmp_path / "b.md") == []


def test_every_page_is_in_the_index():
    """Pages of figures have an index of their own, docs/results/README.md."""
    index = DOCS / "README.md"
    there = {page.name for page in DOCS.glob("*.md")} - {index.name} | {"results/README.md"}
    assert len(there) > 15 and {link.partition("#")[0] for link in links(index)} == there
