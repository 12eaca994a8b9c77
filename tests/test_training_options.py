"""Options of a training: what does not work is refused before anything is touched, the rest does what it says."""

import argparse
import json
import sys

import pytest
import torch
from small_training import arguments, train

from spclap.bin import run_main
from spclap.bin.train import main
from spclap.engine.scene_task import scenes_of_batch
from spclap.engine.task import ClapTask
from spclap.errors import DataError


@pytest.mark.parametrize(
    ("batch", "message"),
    [({1: 4, 2: 3}, "3 scenes of 2 source"), ({"one": 8}, "number of sources"), ({}, "holds no scenes")],
)
def test_batch_that_cannot_be_drawn_is_refused(batch, message):
    with pytest.raises(DataError, match=message):
        scenes_of_batch(batch, 2)
    assert scenes_of_batch({"1": 4, 2: 0}, 2) == {1: 4}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"batchsize": 3}, "batchsize"),
        ({"content_encoder_confs": {}}, "content_encoder_confs"),
        ({"batch_size": 3}, "nobody reads the key `batch_size`"),
        ({"exclude_weight_decay": True}, "nobody reads the key `exclude_weight_decay`"),
        ({"optim": "adamw", "optim_conf": {}}, "optim_conf has no lr"),
        ({"optim": "adamx"}, "adamx"),
        ({"optim_conf": {"lr": 0.1, "weigth_decay": 0.1}}, "weigth_decay"),
        ({"scheduler_conf": {"pct_strat": 0.1}}, "pct_strat"),
        ({"batch": {"one": 8}}, "number of sources"),
        ({"frozen": ["spatial"]}, "no part `spatial`"),
        ({"frozen": "content_encoder"}, "write a list"),
        ({"frozen": ["spatial_encoder"]}, "needs --init"),
        ({"augment": {"mirrors": 0.5}}, "did you mean `mirror`"),
        ({"augment": {"speed": [1.2, 0.9]}}, "in order"),
        ({"permutations": 0}, "permutations is 0"),
        ({"spatial_encoder": "masks", "spatial_encoder_conf": {}}, "fusion `concat` needs the spatial_encoder ca_se"),
        ({"clause_weight": 1.0}, "dim is 16"),
        ({"fusion": "directions"}, "needs the spatial_encoder masks or fixed_masks"),
        ({"fusion": "frames"}, "dim is 16"),
        ({"fusion": "structured", "text_head": "structured", "clause_weight": 1.0}, "clause_weight is 1.0"),
        ({"bfloat16": "ture"}, "must be auto, true or false"),
        ({"best_model_criterion": [["valid", "loss", "min"]]}, "the only one is"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_config_that_does_not_work_leaves_a_finished_model_where_it_is(
    corpus, tmp_path, config, message, monkeypatch, capsys
):
    exp = tmp_path / "model"
    exp.mkdir()
    (exp / "done.json").write_text(json.dumps({"complete": True}))
    monkeypatch.setattr(sys, "argv", ["train", *arguments(corpus, exp, config=config)])
    with pytest.raises(SystemExit) as end:
        run_main(main)
    assert end.value.code != 0 and message in capsys.readouterr().err
    assert [path.name for path in exp.iterdir()] == ["done.json"]
    assert json.loads((exp / "done.json").read_text()) == {"complete": True}


def test_a_dry_run_leaves_a_finished_model_where_it_is(corpus, tmp_path):
    exp = tmp_path / "model"
    exp.mkdir()
    (exp / "done.json").write_text(json.dumps({"complete": True}))
    assert train(corpus, exp, "--dry_run=true").returncode == 0
    assert [path.name for path in exp.iterdir()] == ["done.json"]


def test_each_part_learns_at_its_own_rate_and_the_temperature_does_not_decay():
    model = torch.nn.ModuleDict({name: torch.nn.Linear(2, 3) for name in ("text_encoder", "spatial_encoder", "head")})
    model.logit_scale = torch.nn.Parameter(torch.ones(()))
    args = {"optim": "adamw", "optim_conf": {"lr": 0.5}, "scheduler": None, "lr_scale": {"text_encoder": 0.2}}
    (optimizer,) = ClapTask.build_optimizers(argparse.Namespace(**args), model)
    rate = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert [rate[id(model[name].weight)] for name in model] == [0.1, 0.5, 0.5]
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert decays[id(model.logit_scale)] == 0 and decays[id(model["head"].weight)] == 0.01
    args["lr_scale"] = {"text_encodre": 0.2}
    with pytest.raises(DataError, match="no part `text_encodre`"):
        ClapTask.build_optimizers(argparse.Namespace(**args), model)
