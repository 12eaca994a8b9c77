"""What is kept of a run names no place of the machine that made it."""

import json
import re
import sys
from pathlib import Path

import pytest

from spclap import bin as programs

ROOT = Path(__file__).resolve().parents[1]
ABSOLUTE = re.compile(r"(?<![\w./:*-])/\w[\w.-]*/[\w./-]+")  # /a/b, neither in an address nor inside of another path


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([ROOT / "spclap/bin/pack.py", "--dump", "dump/a"], "python -m spclap.bin.pack --dump dump/a"),
        ([ROOT / "egs/mini/local/data.py"], "python egs/mini/local/data.py"),
        ([ROOT / ".venv/bin/spclap", "embed"], "spclap embed"),
        (["/opt/python/bin/spclap", "/home/me/sounds/a b.wav"], "spclap '.../sounds/a b.wav'"),
        (["x.py", ROOT / "data/mini", "--results=/tmp/y/exp/r.json"], "python x.py data/mini --results=.../exp/r.json"),
        (["x.py", f"--data={ROOT}/data", "/r.json", "-", "a=/b"], "python x.py --data=data .../r.json - a=/b"),
    ],
)
def test_commands_can_be_called_elsewhere(monkeypatch, words, expected):
    monkeypatch.setattr(sys, "argv", list(map(str, words)))
    assert programs.command() == expected
    assert programs.environment()["command"] == expected
    assert str(ROOT) not in json.dumps(programs.environment())


def test_kept_results_hold_no_absolute_path():
    assert ABSOLUTE.findall("x /home/you/a.py `/tmp/b/c` https://a.b/c/d exp/a/b .../mini/seed0") == [
        "/home/you/a.py",
        "/tmp/b/c",
    ]
    files = [ROOT / "RESULTS.md", *(ROOT / "docs" / "results").rglob("*")]
    kept = [path for path in files if path.suffix in (".md", ".json", ".jsonl", ".tsv", ".txt")]
    assert len(kept) > 50
    found = {str(path.relative_to(ROOT)): ABSOLUTE.findall(path.read_text(encoding="utf-8")) for path in kept}
    assert not {name: paths for name, paths in found.items() if paths}
