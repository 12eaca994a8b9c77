"""docs/config.md has every key of conf/ with its value and its comment."""

import re
import shutil
import subprocess
import sys

import pytest
import yaml
from programs import ROOT

BLOCK = "# of a\n# block\nmax_tokens: 64"
GIVEN = {"data", "dump", "start"}  # options that run.sh gives, not keys


def page(folder, *options):
    command = [sys.executable, folder / "utils" / "config_page.py", *options]
    return subprocess.run(command, capture_output=True, text=True, cwd="/")


@pytest.fixture
def copied(tmp_path):
    for name in ("utils", "conf", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "results"))
    return tmp_path


def change(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_the_page_is_that_of_the_files():
    result = page(ROOT, "--check")
    assert result.returncode == 0 and result.stderr == ""


def leaves(values: dict, prefix: str = ""):
    """Dotted names of all that is no mapping with words as keys."""
    for key, value in values.items():
        if isinstance(value, dict) and value and all(isinstance(inner, str) for inner in value):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def test_every_key_and_every_option_is_on_the_page():
    text = (ROOT / "docs" / "config.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", text, re.MULTILINE))
    files = [*ROOT.glob("conf/*.yaml"), ROOT / "conf" / "model" / "default.yaml", *ROOT.glob("conf/train/*.yaml")]
    assert len(files) == 15
    for path in files:
        for key in leaves(yaml.safe_load(path.read_text(encoding="utf-8"))):
            parts = key.split(".")
            assert any(".".join(parts[:count]) in rows for count in range(1, len(parts) + 1)), (path, key)
    options = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "spclap" / "engine").glob("*.py"))
    named = set(re.findall(r"add_argument\(\s*\"--(\w+)\"", options)) - GIVEN
    assert {"array", "batch", "names_weight", "one_class", "prefix"} <= named <= set(rows)


@pytest.mark.parametrize(
    "file, old, new, row",
    [
        ("simu.yaml", "rir_seconds: 0.32 ", "rir_seconds: 0.5 ", "| `rir_seconds` | `0.5` | s, RIRs are cut"),
        ("train/scl.yaml", "permutations: 6 ", "permutations: 2 ", "| `permutations` | `2` scl<br>`1` single, multi |"),
        ("feats.yaml", "# s, shorter clips", "# s, briefer clips", "| `clips.min_seconds` | `0.1` | s, briefer clips"),
        (
            "caption.yaml",
            "max_tokens: 64          # of a caption; what is longer ends there",
            BLOCK,
            "`64` | of a block |",
        ),
    ],
)
def test_what_changes_in_a_file_changes_on_the_page(file, old, new, row, copied):
    change(copied / "conf" / file, old, new)
    result = page(copied, "--check")
    assert result.returncode == 1
    assert result.stderr == "error: docs/config.md: differs from the files of conf/; run python utils/config_page.py\n"
    assert page(copied).returncode == 0 and page(copied, "--check").returncode == 0
    assert row in (copied / "docs" / "config.md").read_text(encoding="utf-8")


def test_a_key_without_a_comment_is_told(copied):
    change(copied / "conf" / "simu.yaml", "  height: [2.6, 3.5]      # m\n", "  height: [2.6, 3.5]\n")
    result = page(copied)
    assert result.returncode == 1
    assert result.stderr == "error: conf/simu.yaml: `rooms.height` has no comment; say what it means, with its unit\n"


def test_a_page_without_a_place_is_told(copied):
    change(copied / "docs" / "config.md", "<!-- keys: feats -->", "")
    assert "has no `<!-- keys: feats -->`" in page(copied).stderr
