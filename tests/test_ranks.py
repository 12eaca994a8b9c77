"""Two processes that torchrun starts train as one does."""

import json
import subprocess
import sys

import pytest
import torch
from programs import run
from small_training import CLAP_ONLY, ROOT, SMALL, parameters
from small_training import train as small_train
from tiny_models import tiny_clap, tiny_roberta

from spclap.engine.scene_model import SceneModel
from spclap.engine.trained import history

# Batch statistics and dropout differ between ranks by nature, so both are off here.
PROGRAM = """
import torch
from spclap.bin import run_main
from spclap.bin.train import main
from spclap.engine.scene_model import SceneModel
SceneModel.train = lambda self, mode=True: torch.nn.Module.train(self, False)
run_main(main)
"""
SGD = {"optim": "sgd", "optim_conf": {"lr": 0.5}, "scheduler": None, "scheduler_conf": {}, "bfloat16": False}
HEARD = {key: value for key, value in {**SMALL, **SGD}.items() if key not in CLAP_ONLY}
KINDS = {
    "seld": {"task": "seld", **HEARD},
    "masks": {
        "task": "masks", **HEARD, "spatial_encoder": "masks",
        "spatial_encoder_conf": {"looks": 3, "channels": 4, "hidden": 4},
    },
    "default": {
        "task": "clap", **SMALL, **SGD, "text_encoder": "hf", "text_encoder_conf": {"train_layers": 0},
        "permutations": 6, "spatial_encoder": "fixed_masks", "spatial_encoder_conf": {}, "fusion": "directions",
        "fusion_conf": {"depth": 7}, "text_head": "queries", "clause_weight": 1.0, "dim": 15,
        "pool": {1: 4, 2: 4},
    },
    "structured": {
        "task": "clap", **SMALL, **SGD, "batch": {1: 4}, "fusion": "structured", "text_head": "structured",
    },
    "caption": {
        "task": "caption", **SGD, "batch": {1: 2, 2: 2}, "decoder_conf": {"dim": 16, "layers": 1, "heads": 2},
        "num_iters_per_epoch": 3, "use_matplotlib": False,
    },
    "paper": {
        "task": "clap", **SMALL, **SGD, "optim_conf": {"lr": 0.1}, "permutations": 2, "frozen": [],
        "content_encoder": "htsat", "content_encoder_conf": {"name": "clap"},
        "text_encoder": "hf", "text_encoder_conf": {"name": "roberta", "pooling": "pooler"},
    },
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_two_ranks_equal_one(corpus, tmp_path, monkeypatch, kind):
    """Same loss and parameters after three steps, with the same scenes shared by two processes on gloo; the stamp says
    complete once, and a rerun does nothing."""
    config = json.loads(json.dumps(KINDS[kind]))
    if kind == "paper":
        tiny_clap(tmp_path / "clap")
        tiny_roberta(tmp_path / "roberta")
        for part in ("content_encoder_conf", "text_encoder_conf"):
            config[part]["name"] = str(tmp_path / config[part]["name"])
    conf, program = tmp_path / "conf.yaml", tmp_path / "program.py"
    conf.write_text(json.dumps(config))
    program.write_text(PROGRAM)
    init = []
    if kind == "caption":
        assert small_train(corpus, tmp_path / "scl", "--max_epoch", "1").returncode == 0
        init = ["--init", tmp_path / "scl"]
    one, two = tmp_path / "one", tmp_path / "two"
    options = ["--config", conf, "--data", corpus.data, "--dump", corpus.dump, *init]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", program]

    def train_two() -> str:
        command = [sys.executable, *torchrun, *options, "--exp", two, "--", "--max_epoch", "1"]
        command = [str(part) for part in [*command, "--dist_backend", "gloo"]]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr[-3000:]
        return result.stderr

    monkeypatch.setattr(SceneModel, "train", lambda self, mode=True: torch.nn.Module.train(self, False))
    ended = run("spclap.bin.train", *options, "--exp", one, "--", "--max_epoch", "1")
    assert ended.returncode == 0, ended.stderr[-3000:]
    train_two()
    losses = [[epoch["train_loss"] for epoch in history(exp)] for exp in (one, two)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    a, b = parameters(one), parameters(two)
    if KINDS[kind]["task"] == "clap":
        moved = abs(a["clap.logit_scale"].item() - torch.tensor(1 / 0.07).log().item())
        assert moved > (1e-5 if kind == "paper" else 1e-3)  # it did learn; HTSAT takes most of the clipped gradient
    for key, value in a.items():
        torch.testing.assert_close(value, b[key], atol=2e-5, rtol=1e-4, msg=key)
    assert json.loads((two / "done.json").read_text())["complete"] and not list(tmp_path.glob("two.old*"))
    if kind == "default":
        assert "up to date" in train_two()
