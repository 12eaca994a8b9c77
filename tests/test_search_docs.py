"""The examples of docs/search.md run, in their order."""

import re
import runpy
import shlex
import sys

import numpy as np
import soundfile
from programs import ROOT
from small_clap import ANY_ARRAY, small_clap

from spclap import cli
from spclap.inference import SpatialCLAP
from spclap.search import Index

RATE = 16000
EXAMPLE = re.compile(r"^ {4,6}(spclap [^\n]*)$|^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_examples_run(tmp_path, monkeypatch, capsys):
    model = small_clap(tmp_path / "text", ANY_ARRAY)
    monkeypatch.setattr(SpatialCLAP, "from_pretrained", lambda *args: model)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recordings" / "yard").mkdir(parents=True)
    for number in range(3):
        left = 0.1 * np.random.default_rng(number).standard_normal(2 * RATE)
        name = tmp_path / "recordings" / "yard" / f"{number}.flac"
        soundfile.write(name, np.stack([left, np.roll(left, number)], axis=1), RATE)
    page = (ROOT / "docs" / "search.md").read_text(encoding="utf-8")
    found = EXAMPLE.findall(page)
    assert [bool(command) for command, _ in found] == [True, True, False, True]
    for command, code in found:
        if command:
            monkeypatch.setattr(sys, "argv", shlex.split(command))
            cli.main()
        else:
            (tmp_path / "example.py").write_text(code)
            names = runpy.run_path(str(tmp_path / "example.py"))
            assert len(names["hits"]) == len(names["like"]) == 3
            assert names["like"][0].score > 0.99
    said = capsys.readouterr().out
    assert said.splitlines()[0] == "recordings.index: 3 recordings, 6 windows; 3 heard now, 0 gone, 0 left out"
    assert said.splitlines()[-1] == "recordings.index: 3 recordings, 6 windows; 0 heard now, 0 gone, 0 left out"
    shown = next(line for line in said.splitlines() if "yard/" in line)
    sample = re.search(r"^ {4}(0\.\d{3} /home.*)$", page, re.MULTILINE)[1]
    shape = r"0\.\d{3} /.*/recordings/yard/\d\.flac \d+\.\d-\d+\.\d s"
    assert re.fullmatch(shape, sample) and re.fullmatch("-?" + shape, shown)
    assert Index.open("recordings.index").listing.dim == 20
