"""YAML layers and stamps."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from spclap.data.config import load_config, load_yaml
from spclap.errors import DataError
from spclap.evaluate.benchmarks.fixed import ScoreConf
from spclap.recipe.compose import Recipe
from spclap.scene.conf import FeatsConf, SimuConf

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Inner:
    size: int


@dataclass(frozen=True)
class Outer:
    inner: Inner
    name: str = "x"


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_layers_are_merged_in_order(tmp_path):
    one, two = write(tmp_path / "a.yaml", "a: {b: 1, c: 2}\nd: [1]"), write(tmp_path / "b.yaml", "a: {c: 3}\nd: [2]")
    assert load_yaml(one, two) == {"a": {"b": 1, "c": 3}, "d": [2]}


def test_another_part_drops_the_options_of_the_first(tmp_path):
    one = write(tmp_path / "a.yaml", "text_encoder: hf\ntext_encoder_conf: {name: x}\nlr: 1")
    two = write(tmp_path / "b.yaml", "text_encoder: transformer\ntext_encoder_conf: {dim: 3}")
    same = write(tmp_path / "c.yaml", "text_encoder: hf\ntext_encoder_conf: {dim: 3}")
    assert load_yaml(one, two)["text_encoder_conf"] == {"dim": 3}
    assert load_yaml(one, same)["text_encoder_conf"] == {"name": "x", "dim": 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("inner: {size: 1}\nnmae: y", "`nmae`; did you mean `name`"),
        ("inner: {sizes: 1}", "inner: nobody reads the key `sizes`"),
        ("name: y", "missing key.* inner"),
        ("- 1", "key: value"),
        ("a: [", "not valid YAML"),
        ("inner: {size: 1e-3}", "1e-3"),
        ("inner: 3", "inner: expected .*got 3"),
    ],
)
def test_bad_configs_name_file_and_key(tmp_path, text, message):
    with pytest.raises(DataError, match=message) as error:
        load_config(Outer, write(tmp_path / "conf.yaml", text))
    assert "conf.yaml" in str(error.value)
    with pytest.raises(DataError, match="not found"):
        load_yaml(tmp_path / "none.yaml")


def test_a_config_that_is_not_utf8_is_one_line(tmp_path):
    (tmp_path / "conf.yaml").write_bytes("name: caf\u00e9".encode("latin-1"))
    with pytest.raises(DataError, match="conf.yaml: not valid YAML"):
        load_yaml(tmp_path / "conf.yaml")


def test_shipped_configs_parse():
    for cls, name in ((SimuConf, "simu"), (FeatsConf, "feats"), (ScoreConf, "score")):
        for overlay in (None, ROOT / "tests" / "tiny_conf"):
            load_config(cls, *Recipe(ROOT / "conf", overlay=overlay).files(name))
        load_config(cls, *Recipe(ROOT / "conf" / "paper").files(name))


def without(conf: dict) -> dict:
    """What models that are compared must have in common."""
    return {key: value for key, value in conf.items() if key not in ("batch", "permutations")}


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ("settings: {paper: {arrays: [ortf]}}", "arrays is ['ortf']; it must be array: share"),
        ("settings: {paper: {arrays: {'pair:0.17': 0}}}", "at least one share above 0"),
        ("settings: {paper: {arrays: {ortf: .inf}}}", "it must be array: share"),
        ("settings: {paper: {arrays: {quad: 1}}}", "array `quad` is none of"),
        ("settings: {varied: {arrays: {'pair:0.3-0.1': 1}}}", "range 0.3-0.1 must go up; write 0.1-0.3"),
        ("settings: {paper: {count: {train: 1.5}}}", "it must be split: rooms, 1 or more, see `train`"),
        ("settings: {paper: {count: {tarin: 5}}}", "see `tarin`"),
        ("settings: {varied: null}", "rooms must be `key: value` lines"),
        ("rooms: null", "rooms must be `key: value` lines"),
        ("rooms: {rt60: [0.1, 0.2]}", "rooms: rt60 is what every setting says itself; change it there"),
        ("rooms: {places_per_direction: 1.5}", "it must be a whole number above 0"),
    ],
)
def test_rooms_that_cannot_be_are_one_line(tmp_path, over, message):
    (tmp_path / "over.yaml").write_text(over)
    with pytest.raises(DataError, match=re.escape(message)) as error:
        load_config(SimuConf, ROOT / "conf" / "simu.yaml", tmp_path / "over.yaml")
    assert "over.yaml" in str(error.value) and "\n" not in str(error.value)


def test_an_overlay_takes_an_array_away_with_a_share_of_0(tmp_path):
    (tmp_path / "over.yaml").write_text("settings: {paper: {arrays: {'pair:0.17': 0, ortf: 1}}}")
    simu = load_config(SimuConf, ROOT / "conf" / "simu.yaml", tmp_path / "over.yaml")
    rooms = simu.room_confs["paper"]
    assert {str(rooms.draw_array(np.random.default_rng(seed))) for seed in range(20)} == {"ortf"}
    assert simu.arrays([]) == ["ortf"] and len(simu.arrays(["paper", "varied"])) == 5
    with pytest.raises(DataError, match="no setting outdoors; there are paper, varied"):
        simu.arrays(["outdoors"])


@pytest.mark.parametrize(("base", "model"), [("", "default"), ("", "concat"), ("paper", "default")])
def test_models_that_are_compared_share_encoders_and_budget(base, model):
    recipe = Recipe(ROOT / "conf" / base)
    runs = {stage: recipe.training(model, stage) for stage in ("single", "multi", "scl")}
    assert {run.start for run in runs.values()} == {recipe.pretraining(model).tag}
    single, multi, scl = (recipe.config(*run.names).values for run in runs.values())
    assert items(single) == items(multi) == items(scl) == (128 if base else 32)
    assert without(single) == without(multi) == without(scl)


def items(conf: dict) -> int:
    """Items of a batch: scenes and their permutations."""
    limit = conf["permutations"]
    return sum(scenes * min(math.factorial(sources), limit) for sources, scenes in conf["batch"].items())
