"""Examples of the pages for people who do not train: Python blocks and commands run as they stand."""

import re
import shlex

import numpy as np
import pytest
import soundfile
import torch
from programs import ROOT, run
from small_clap import ANY_ARRAY, conf
from tiny_models import tiny_roberta

from spclap import inference
from spclap.inference import SpatialCLAP
from spclap.model import hub
from spclap.model.checkpoints import save_model
from spclap.model.packaged import RELEASED
from spclap.model.spatial_clap import SpatialClap
from spclap.verbs import given

PAGES = ["use.md", "own_recordings.md"]
MODELS = ["small", *(["released"] if (RELEASED / "config.yaml").is_file() else [])]


@pytest.fixture(params=MODELS)
def here(request, tmp_path, monkeypatch):
    """A working directory with a recording, and a released model."""
    stereo = np.random.default_rng(0).standard_normal((48000, 2))
    soundfile.write(tmp_path / "street.wav", 0.1 * (stereo + np.roll(stereo[:, ::-1], 3, axis=0)), 16000)
    monkeypatch.chdir(tmp_path)
    if request.param == "small":
        torch.manual_seed(0)
        tiny_roberta(tmp_path / "roberta")
        whole = {**conf(tmp_path / "roberta"), **ANY_ARRAY}
        save_model(SpatialClap(**whole), whole, tmp_path / "released", scene_seconds=2.0)
        monkeypatch.setattr(hub, "RELEASED", tmp_path / "released")
        monkeypatch.setattr(inference, "EXAMPLE", tmp_path / "street.wav")
    return tmp_path


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_python_of_the_page_runs(here):
    blocks = re.findall(r"^```python\n(.*?)^```", page("use.md"), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 5
    names = {}
    for number, block in enumerate(blocks):
        exec(compile(block, f"use.md, block {number}", "exec"), names)  # noqa: S102
    assert names["cosines"].shape == (2, 2) and len(names["cells"]) == 10
    np.testing.assert_array_equal(names["again"].embed_text("dog"), names["model"].embed_text("dog"))


@pytest.mark.parametrize("name", PAGES)
def test_commands_of_the_page_run(name, here, monkeypatch):
    model = SpatialCLAP.from_pretrained()
    monkeypatch.setattr(SpatialCLAP, "from_pretrained", lambda *args: model)
    commands = re.findall(r"^    spclap (.+)$", page(name), re.MULTILINE)
    assert len(commands) >= 5
    for command in commands:
        words = [
            str(here / word) if word.startswith("street") or "vectors" in word else word
            for word in shlex.split(command)
        ]
        words = [str(here / word) if word.endswith(".png") and "/" not in word else word for word in words]
        ended = run("spclap.cli", *words)
        assert ended.returncode == 0, (command, ended.stderr)


def test_examples_are_of_this_package():
    assert given.EXAMPLE.parent == RELEASED and RELEASED.parent.name == "spclap"
    if (RELEASED / "config.yaml").is_file():
        frames, rate = soundfile.read(given.EXAMPLE)
        assert frames.shape[1] == 2 and 2.5 <= len(frames) / rate <= 3.5
