"""A training as small as can be, for tests of the engine."""

import json
from pathlib import Path

import programs
import torch

from spclap.recipe import MODEL
from spclap.scene.corpus import Corpus

ROOT = programs.ROOT
SMALL = {
    "batch": {1: 2, 2: 2},
    "spatial_encoder_conf": {"input": {"n_fft": 512, "hop": 256, "bins": 64}, "channels": 4, "hidden": 8},
    "content_encoder": "yamnet",
    "text_encoder": "transformer",
    "text_encoder_conf": {"dim": 16, "layers": 1},
    "dim": 16,
    "frozen": ["content_encoder"],
    "optim": "adam",
    "optim_conf": {"lr": 1.0e-3},
    "scheduler": "onecyclelr",
    "scheduler_conf": {"cycle_momentum": False},
    "num_iters_per_epoch": 3,
    "use_matplotlib": False,
    "bfloat16": False,
}
CLAP_ONLY = ("content_encoder", "text_encoder", "text_encoder_conf", "dim", "frozen")


def arguments(corpus: Corpus, exp: Path, *options: str, task: str = "clap", config: dict | None = None) -> list[str]:
    """Of the training program."""
    conf = exp.parent / f"{exp.name}.yaml"
    conf.write_text(json.dumps({"task": task, **SMALL, **(config or {})}))
    given = ["--config", conf, "--data", corpus.data, "--dump", corpus.dump, "--exp", exp, "--", *options]
    return [str(argument) for argument in given]


def train(corpus: Corpus, exp: Path, *options: str, task: str = "clap", config: dict | None = None) -> programs.Ended:
    """Run the training program."""
    return programs.run("spclap.bin.train", *arguments(corpus, exp, *options, task=task, config=config))


def parameters(exp: Path, name: str = MODEL) -> dict[str, torch.Tensor]:
    return torch.load(exp / name, weights_only=True)
