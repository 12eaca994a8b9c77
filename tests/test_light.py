"""Who only wants vectors loads nothing of training, no tables or plots, and asks no network."""

import re
import subprocess
import sys

import pytest
import torch
from programs import ROOT
from small_clap import ANY_ARRAY, conf
from tiny_models import tiny_roberta

from spclap.bin import OF_RECIPE
from spclap.model.checkpoints import save_model
from spclap.model.spatial_clap import SpatialClap

HEAVY = [
    "espnet", "espnet2", "pandas", "matplotlib", "librosa", "numba", "sklearn", "pyroomacoustics", "jinja2", "onnx",
    "av", "sofar", "scipy.signal", "scipy.stats", "spclap.engine", "spclap.scene", "spclap.recipe",
    "spclap.bin", "spclap.verbs", "spclap.evaluate",
]  # fmt: skip
BLOCK = f"""
import sys, socket, time
for name in {HEAVY}:
    sys.modules[name] = None
def refuse(*args, **named): raise AssertionError("network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
"""
IMPORT = """
began = time.process_time()
import torch
middle = time.process_time()
from spclap.inference import SpatialCLAP
assert "transformers" not in sys.modules and "huggingface_hub" not in sys.modules
assert time.process_time() - middle < 1 + 2 * (middle - began), "much slower than torch"
"""
USE = """
import numpy as np
model = SpatialCLAP.from_pretrained({folder!r})
x = 0.1 * np.random.default_rng(0).standard_normal((2, 16000)).astype("f")
assert len(model.classify(x, ["a dog", "rain"], sampling_rate=16000)) == 2
assert len(model.locate(x, "rain", 16000)) == 5 and len(list(model.windows(x, sampling_rate=16000))) == 1
"""


def python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", BLOCK + code], cwd=ROOT, capture_output=True, text=True)


def test_inference_loads_little(tmp_path):
    tiny_roberta(tmp_path / "roberta")
    torch.manual_seed(0)
    whole = {**conf(tmp_path / "roberta"), **ANY_ARRAY}
    save_model(SpatialClap(**whole), whole, tmp_path / "model", scene_seconds=1.0)
    result = python(IMPORT + USE.format(folder=str(tmp_path / "model")))
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("wrong", ["import pandas", "import spclap.engine", "socket.create_connection(('a', 1))"])
def test_what_is_blocked_is_noticed(wrong):
    result = python(wrong)
    assert result.returncode == 1 and ("ModuleNotFoundError" in result.stderr or "network" in result.stderr)


def test_what_only_training_needs_is_named(tmp_path):
    """An installation without the recipe's packages says so in a line."""
    blocked = "; ".join(f"sys.modules['{name}'] = None" for name in OF_RECIPE)
    code = f"import sys; {blocked}; sys.argv[1:] = ['config', 'show', 'scl']; from spclap.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1 and done.stderr.startswith("error: espnet is missing")
    assert "pip install 'spclap[recipe]'" in done.stderr and len(done.stderr.splitlines()) == 1
    needed = re.search(r"^RECIPE = \[(.*)\]", (ROOT / "setup.py").read_text(), re.MULTILINE)[1]
    assert {re.match(r"[a-z]+", name)[0] for name in re.findall(r'"([^"]+)"', needed)} == set(OF_RECIPE) - {"espnet2"}
