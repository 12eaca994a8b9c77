"""README.md and RESULTS.md say what the kept results say, to the digit."""

import re
import shutil
import subprocess
import sys

import pytest
import yaml
from programs import ROOT


def fill(folder, *options):
    command = [sys.executable, folder / "utils" / "fill_tables.py", *options]
    return subprocess.run(command, capture_output=True, text=True, cwd="/")


@pytest.fixture
def copied(tmp_path):
    """The pages and the figures that they are made of."""
    for name in ("utils", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "RESULTS.md"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def test_pages_are_those_of_the_kept_results():
    result = fill(ROOT, "--check")
    assert result.returncode == 0 and result.stderr == ""
    assert len((ROOT / "RESULTS.md").read_text().splitlines()) <= 120
    assert len((ROOT / "RESULTS.md").read_text().split("\n## ")) == 6


def test_another_digit_in_any_table_is_told_and_put_right(copied):
    tables = yaml.safe_load((copied / "docs" / "results" / "tables.yaml").read_text())["pages"]
    pages = {page: (copied / page).read_text() for page in tables}
    for page, own in tables.items():
        for name in own:
            mark = f"<!-- table: {name} -->\n"
            before, after = (copied / page).read_text().split(mark)
            changed = re.sub(r"\d", lambda digit: str(9 - int(digit[0])), after, count=1)
            (copied / page).write_text(before + mark + changed)
    result = fill(copied, "--check")
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        f"{page}: differs from the kept figures; run python utils/fill_tables.py" for page in pages
    ]
    assert fill(copied).returncode == 0 and {page: (copied / page).read_text() for page in pages} == pages


def test_a_figure_in_a_sentence_is_looked_up(copied):
    path = copied / "README.md"
    (figure,) = set(re.findall(r"gains (22\.\d \[[^]]*\])", path.read_text()))
    path.write_text(path.read_text().replace(f"gains {figure}", "gains 22.7 [17.0, 28.3]"))
    result = fill(copied)
    assert result.returncode == 1 and result.stderr == "README.md: 22.7 [17.0, 28.3] is no kept figure\n"


def test_a_figure_that_changed_changes_the_page(copied):
    path = copied / "docs" / "results" / "mini" / "table1" / "table.md"
    path.write_text(path.read_text().replace("67.9 [54.3, 79.0]", "68.9 [54.3, 79.0]"))
    assert fill(copied, "--check").returncode == 1
    assert fill(copied).returncode == 0 and "68.9 [54.3, 79.0]" in (copied / "RESULTS.md").read_text()


def test_what_is_not_there_is_told(copied):
    path = copied / "docs" / "results" / "tables.yaml"
    path.write_text(path.read_text().replace("[mini, scl, 0+1+2]", "[mini, scl, 0+1+7]", 1))
    result = fill(copied)
    assert result.returncode == 1 and "has no row mini, scl, 0+1+7" in result.stderr
    assert "Traceback" not in result.stderr
