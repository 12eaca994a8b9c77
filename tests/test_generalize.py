"""Scoring in places not trained on."""

import json
import shutil
import subprocess
import sys

import pytest
import yaml
from small_training import ROOT, train
from test_head import toy_sofa


@pytest.fixture(scope="module")
def models(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exp")
    for name in ("one", "other"):
        assert train(corpus, folder / name, "--max_epoch", "1").returncode == 0
    return [folder / "one", folder / "other"]


def generalize(corpus, models, out, *options, **changes):
    conf = out.parent / "generalize.yaml"
    values = {"seed": 0, "rooms": 2, "scenes": {1: 4, 2: 4}, "conditions": {"same": {}, "wide": {"spacing": 0.3}}}
    conf.write_text(yaml.safe_dump({**values, "heads": {"head": {}}, **changes}))
    command = [sys.executable, "-m", "spclap.bin.generalize", "--data", corpus.data, "--dump", corpus.dump]
    command += ["--models", *models, "--out", out, "--conf", conf, *options]
    return subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True)


def test_every_condition_and_model_has_its_line(corpus, models, tmp_path):
    result = generalize(corpus, models, tmp_path / "table.md")
    assert result.returncode == 0, result.stderr[-2000:]
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert [line.split("|")[1:3] for line in lines[2:]] == [
        [f" {condition} ", f" {tag} "] for condition in ("same", "wide") for tag in ("one", "other", "one-other")
    ]
    assert "| same | one-other | 0.0 [0.0, 0.0]" in lines[4]  # both are the same model
    outcomes = json.loads((tmp_path / "table.json").read_text())
    assert len(outcomes["wide"]["one"]["assignment_2src"]) == 4
    assert "no --sofa" in result.stderr


def test_models_of_one_name_are_told_apart_by_their_folders(corpus, models, tmp_path):
    shutil.copytree(models[0], tmp_path / "one")
    result = generalize(corpus, [models[0], tmp_path / "one"], tmp_path / "table.md", conditions={"same": {}})
    assert result.returncode == 0, result.stderr[-2000:]
    for tag in (models[0], tmp_path / "one", f"{models[0]}-{tmp_path / 'one'}"):
        assert f"| same | {tag} | " in (tmp_path / "table.md").read_text()


def test_a_measured_head_is_a_condition_too(corpus, models, tmp_path):
    head = toy_sofa(tmp_path / "head.sofa")
    tail = {"anechoic": {}, "tail": {"rt60": [0.1, 0.2]}}
    result = generalize(corpus, models[:1], tmp_path / "table.md", "--sofa", head, conditions={}, heads=tail)
    assert result.returncode == 0, result.stderr[-2000:]
    assert [line.split("|")[1] for line in (tmp_path / "table.md").read_text().splitlines()[2:]] == [
        " anechoic ",
        " tail ",
    ]


def test_bad_input_is_named_and_nothing_is_written(corpus, models, tmp_path):
    for changes, message in (
        ({"conditions": {"a": {"spacings": 0.1}}}, "conditions: a"),
        ({"conditions": {"a": {"spacing": -1}}}, "spacing is -1"),
        ({"heads": {"a": {"rt60": 0.2}}}, "rt60 is 0.2"),
        ({"scenes": {1: 0}}, "both must be 1 or more"),
    ):
        result = generalize(corpus, models, tmp_path / "table.md", **changes)
        assert result.returncode == 1 and message in result.stderr and "Traceback" not in result.stderr
    result = generalize(corpus, [tmp_path / "none"], tmp_path / "table.md")
    assert result.returncode == 1 and "run stages 3 and 4" in result.stderr
    assert not (tmp_path / "table.md").exists()
