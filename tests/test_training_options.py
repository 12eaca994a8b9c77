"""Options of a training: what does not work is refused before anything is touched, the rest does what it says."""

import argparse
import json
import re
import sys

import pytest
import torch
from small_training import SMALL, arguments, train

from spclap.bin import run_main
from spclap.bin.train import main
from spclap.engine.clap import ClapTask, require_readable
from spclap.engine.options import check_kinds, read_options
from spclap.engine.scene_task import scenes_of_batch
from spclap.errors import DataError
from spclap.model.language import require_room


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
        ({"seconds": 2.0}, "seconds is 2.0; it must be [low, high], in order, within 0.5 and 60.0 s"),
        ({"seconds": [0.0, 2.0]}, "within 0.5 and 60.0 s"),
        ({"seconds": [2.0, 1.0e9]}, "within 0.5 and 60.0 s"),
        ({"seconds": [5.0, 2.0]}, "in order"),
        ({"seconds": [2.0, float("nan")]}, "in order"),
        ({"seconds": [2.0]}, "[low, high]"),
        ({"spatial_encoder": "masks", "spatial_encoder_conf": {}}, "fusion `concat` needs the spatial_encoder ca_se"),
        ({"clause_weight": 1.0}, "dim is 16"),
        ({"fusion": "directions"}, "needs the spatial_encoder masks or fixed_masks"),
        ({"fusion": "frames"}, "dim is 16"),
        ({"fusion": "structured", "text_head": "structured", "clause_weight": 1.0}, "clause_weight is 1.0"),
        ({"bfloat16": "ture"}, "must be auto or one of true, false, maps, words"),
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


PARSER = ClapTask.get_parser()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--max_epoch 2 --use_matplotlib=false", {"max_epoch": 2, "use_matplotlib": False}),
        ("--frozen a b --dim 16", {"frozen": ["a", "b"], "dim": 16}),
        ("--frozen", {"frozen": []}),
        ("--keep_nbest_models 2", {"keep_nbest_models": [2]}),
        ("--optim_conf lr=0.1 --optim_conf a.b=1.0e-3", {"optim_conf": {"lr": 0.1, "a": {"b": 1e-3}}}),
        ("--optim_conf lr=0.1 betas=[0.9, 0.99]", {"optim_conf": {"lr": 0.1, "betas": [0.9, 0.99]}}),
        ("--optim_conf {lr: 0.1, a: {b: x=y}}", {"optim_conf": {"lr": 0.1, "a": {"b": "x=y"}}}),
        ("--batch {1: 2} --batch 2=3", {"batch": {1: 2, "2": 3}}),
        ("--clause_weight -1.5 --text_encoder hf", {"clause_weight": -1.5, "text_encoder": "hf"}),
        ("--scheduler null --bfloat16 true", {"scheduler": None, "bfloat16": True}),
        ("", {}),
    ],
)
def test_options_are_yaml(words, expected):
    """Words as run.sh splits --train_args, at every space."""
    assert read_options(PARSER, words.split()) == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--maxepoch 2", "--maxepoch: there is no such option; did you mean --max_epoch?"),
        ("--max_epo 2", "did you mean --max_epoch?"),
        ("max_epoch 2", "`max_epoch` is no option"),
        ("--max_epoch", "--max_epoch takes one value, not none"),
        ("--max_epoch 2 3", "--max_epoch takes one value, not 2 3"),
        ("--optim_conf", "write key=value"),
        ("--optim_conf lr", "write key=value"),
        ("--optim_conf {lr: 0.1", "not a value in YAML"),
        ("--optim_conf lr=1e-3", "write it with a point"),
    ],
)
def test_options_that_say_nothing_are_refused(words, message):
    with pytest.raises(DataError, match=re.escape(message)):
        read_options(PARSER, words.split())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_epoch": 2.5}, "max_epoch is 2.5; it must be int"),
        ({"max_epoch": True}, "max_epoch is True; it must be int"),
        ({"keep_nbest_models": [1, 2.5]}, "it must be int"),
        ({"grad_clip": [1]}, "it must be float"),
        ({"use_matplotlib": 3}, "it must be bool"),
    ],
)
def test_numbers_and_switches_of_a_config_are_that(given, message):
    with pytest.raises(DataError, match=re.escape(message)):
        check_kinds(PARSER, given)
    check_kinds(
        PARSER, {"max_epoch": 2, "grad_clip": 5, "use_matplotlib": False, "keep_nbest_models": 3, "lr_scale": {}}
    )


def test_what_a_model_assumes_must_be_what_it_learns(corpus):
    """In the rooms of the corpus, 17 cm; where a model is not told, nothing is assumed."""
    masks = {"spatial_encoder": "fixed_masks", "spatial_encoder_conf": {}, "dim": 15}
    masks |= {"fusion": "directions", "fusion_conf": {"depth": 7}}
    defaults = {**vars(ClapTask.get_parser().parse_args([])), "data": str(corpus.data), "dump": str(corpus.dump)}
    for conf, array in (({}, "ortf"), (masks, "pair:0.17")):
        ClapTask.build_model(argparse.Namespace(**{**defaults, **SMALL, **conf, "array": array}))
    with pytest.raises(DataError, match="array is ortf, taken where nothing is said, and these rooms have pair:0.17"):
        ClapTask.build_model(argparse.Namespace(**{**defaults, **SMALL, **masks, "array": "ortf"}))


def test_captions_that_are_too_long_are_told_before_a_training(corpus):
    """The longest captions of a split together must fit, whichever scenes are drawn."""
    args = argparse.Namespace(data=str(corpus.data), dump=str(corpus.dump), batch={1: 2, 2: 2})
    words, read = [], []

    def reader(limit):
        def encode(captions):
            rows = [caption.split() for caption in captions]
            words.extend(map(len, rows))
            read.extend(captions)
            require_room(captions, rows, limit, "")
            return rows

        return encode

    require_readable(reader(1000), args)
    longest = max(words)  # test scenes have three sources
    assert max(read, key=lambda caption: len(caption.split())).count("on the left side") == 3
    require_readable(reader(longest), args)
    with pytest.raises(DataError, match=f"test, scenes of up to 3 sources: caption .* has {longest} tokens"):
        require_readable(reader(longest - 1), args)
