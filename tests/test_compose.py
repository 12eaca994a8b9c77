"""The rule by which files make a config, against what a reader would merge by hand."""

import re
import sys
from pathlib import Path

import programs
import pytest
import yaml

from spclap.bin.recipe import main as recipe_program
from spclap.errors import DataError
from spclap.recipe.compose import Config, Layer, Recipe, tag_of
from spclap.recipe.show import header, rows

ROOT = Path(__file__).resolve().parents[1]
FILES = {
    "conf/simu.yaml": "{seed: 0, rooms: {rt60: [0.1, 0.2], spacing: 0.17}}",
    "conf/model/default.yaml": "{pretraining: masks, stages: [single, multi, scl], spatial_encoder: masks, "
    "spatial_encoder_conf: {looks: 9, channels: 24}, fusion: directions, "
    "fusion_conf: {depth: 7}, dim: 510, frozen: [x]}",
    "conf/model/concat.yaml": "{parents: [default], pretraining: seld, spatial_encoder: ca_se, "
    "spatial_encoder_conf: {channels: 32}, equal_level: false, dim: 512}",
    "conf/model/mono.yaml": "{parents: [concat], pretraining: null, stages: [single], spatial_encoder: none}",
    "conf/train/masks.yaml": "{task: masks, batch: {1: 4, 2: 20}}",
    "conf/train/seld.yaml": "{task: seld, batch: {1: 8}}",
    "conf/train/contrastive.yaml": "{task: clap, optim_conf: {lr: 0.1}, max_epoch: 10}",
    "conf/train/single.yaml": "{parents: [contrastive], batch: {1: 32}}",
    "conf/train/scl.yaml": "{parents: [contrastive], batch: {1: 8, 2: 12}, permutations: 6}",
    "conf/train/multi.yaml": "{parents: [scl], batch: {2: 24}, permutations: 1}",
    "conf/train/caption.yaml": "{task: caption, max_epoch: 8}",
    "conf/ablation/thin.yaml": "# Thin: what width\n# is worth. More.\n"
    "{model: concat, dim: 8, max_epoch: 3, init: false}",
    "egs/town/conf/data.yaml": "{valid: 0.1}",
    "egs/town/conf/train/contrastive.yaml": "{max_epoch: 5, num_workers: 2}",
    "egs/town/conf/train/seld.yaml": "{classes: {a: [b]}}",
    "mine/train/scl.yaml": "{batch: {2: 3}, optim_conf: {lr: 0.5}}",
    "mine/simu.yaml": "{rooms: {spacing: 0.3}}",
    "mine/data.yaml": "{valid: 0.2}",
}


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    for name, text in FILES.items():
        write(tmp_path / name, text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def mine() -> Recipe:
    return Recipe(Path("conf"), "town", Path("mine"))


def values(recipe: Recipe, tag: str) -> dict:
    return recipe.config(*recipe.run(tag).names).values


CONCAT = {
    "spatial_encoder": "ca_se", "spatial_encoder_conf": {"channels": 32}, "fusion": "directions",
    "fusion_conf": {"depth": 7}, "equal_level": False, "frozen": ["x"],
}  # fmt: skip


def test_layers_are_those_of_the_run_of_the_corpus_and_of_the_user(home):
    """The dimension is of the model, lr of the user; the ablation's epochs lie below the corpus's."""
    expected = {
        **CONCAT, "dim": 8, "task": "clap", "optim_conf": {"lr": 0.5}, "max_epoch": 5, "num_workers": 2,
        "batch": {1: 8, 2: 3}, "permutations": 6, "init": False,
    }  # fmt: skip
    assert values(mine(), "concat_scl_thin") == expected
    assert values(Recipe(), "concat_scl_thin")["max_epoch"] == 3


def test_a_file_comes_after_its_parents_within_each_layer(home):
    assert [str(path) for path in mine().files("model/concat", "train/multi")] == [
        "conf/model/default.yaml", "conf/model/concat.yaml", "conf/train/contrastive.yaml", "conf/train/scl.yaml",
        "conf/train/multi.yaml", "egs/town/conf/train/contrastive.yaml", "mine/train/scl.yaml",
    ]  # fmt: skip
    multi = values(Recipe(), "multi")
    assert (multi["batch"], multi["permutations"], multi["max_epoch"]) == ({1: 8, 2: 24}, 1, 10)
    write(home / "conf/model/both.yaml", "{parents: [mono, concat]}")
    assert Recipe().lineage("model/both") == ["model/default", "model/concat", "model/mono", "model/both"]


def test_another_part_has_none_of_the_options_of_the_first(home):
    assert "spatial_encoder_conf" not in values(Recipe(), "mono_single")
    assert values(Recipe(), "single")["spatial_encoder_conf"] == {"looks": 9, "channels": 24}


def test_a_pre_training_takes_of_a_model_what_it_trains(home):
    masks = {"spatial_encoder": "masks", "spatial_encoder_conf": {"looks": 9, "channels": 24}}
    assert values(mine(), "masks") == {**masks, "task": "masks", "batch": {1: 4, 2: 20}}
    taken = {key: CONCAT[key] for key in ("spatial_encoder", "spatial_encoder_conf", "equal_level")}
    assert values(mine(), "concat_seld") == {**taken, "task": "seld", "batch": {1: 8}, "classes": {"a": ["b"]}}


def test_data_and_simulation_are_runs_of_one_name(home):
    assert mine().config("data").values == {"valid": 0.2}
    assert mine().config("simu").values == {"seed": 0, "rooms": {"rt60": [0.1, 0.2], "spacing": 0.3}}
    with pytest.raises(DataError, match="there is no score.yaml in conf or egs/town/conf or mine"):
        mine().files("score")


def test_each_value_knows_its_file(home):
    config = mine().config(*mine().run("concat_scl_thin").names)
    found = {".".join(map(str, path)): config.origin(*path) for path, _ in rows(config.values)}
    assert found == {
        "spatial_encoder": "conf/model/concat.yaml",
        "spatial_encoder_conf.channels": "conf/model/concat.yaml",
        "fusion": "conf/model/default.yaml",
        "fusion_conf.depth": "conf/model/default.yaml",
        "equal_level": "conf/model/concat.yaml",
        "frozen": "conf/model/default.yaml",
        "dim": "conf/ablation/thin.yaml",
        "task": "conf/train/contrastive.yaml",
        "optim_conf.lr": "mine/train/scl.yaml",
        "max_epoch": "egs/town/conf/train/contrastive.yaml",
        "num_workers": "egs/town/conf/train/contrastive.yaml",
        "batch.1": "conf/train/scl.yaml",
        "batch.2": "mine/train/scl.yaml",
        "permutations": "conf/train/scl.yaml",
        "init": "conf/ablation/thin.yaml",
    }


def test_options_of_a_part_that_went_are_not_said_to_come_from_its_file():
    layers = ({"a": "x", "a_conf": {"k": 1}}, {"a": "y"}, {"a_conf": {"m": 2}, "b": {}}, {"a_conf": {"k": 1}})
    config = Config(tuple(Layer(name, values) for name, values in zip("pqrs", layers, strict=True)))
    assert config.values == {"a": "y", "a_conf": {"m": 2, "k": 1}, "b": {}}
    assert [config.origin(*path) for path, _ in rows(config.values)] == ["q", "r", "s", "r"]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("conf/model/default.yaml", "{parents: [mono]}", "`parents` go in a circle: model/default -> model/mono -> "),
        ("conf/model/mono.yaml", "{parents: [cocnat]}", "conf/model/mono.yaml: parent cocnat: there is no conf/model/"),
        ("conf/model/mono.yaml", "{parents: concat}", "parents is 'concat'; write a list of names"),
        ("conf/model/default.yaml", "{stages: [single]}", "pretraining is missing; write the name of a file in train/"),
        ("conf/model/default.yaml", "{pretraining: null}", "conf/model/default.yaml: stages is missing; write a list"),
        ("conf/model/default.yaml", "{pretraining: dreams, stages: []}", "there is no conf/train/dreams.yaml"),
        ("conf/model/default.yaml", "{pretraining: null, stages: [slc]}", "stage slc: there is no conf/train/slc.yaml"),
        (
            "conf/ablation/thin.yaml",
            "{dim: 8}",
            "conf/ablation/thin.yaml: model is missing; write the name of a file in model/",
        ),
        ("conf/ablation/thin.yaml", "{model: cat}", "model cat: there is no conf/model/cat.yaml; there are: default"),
        ("conf/ablation/thin.yaml", "{model: mono}", "its model mono has no training scl"),
    ],
)
def test_files_that_say_nothing_that_can_be_trained_are_named(home, file, text, message):
    write(home / file, text)
    with pytest.raises(DataError, match=re.escape(message)) as error:
        list(Recipe().all_runs())
    assert "\n" not in str(error.value)


def test_parents_of_a_file_that_is_laid_over_another_are_not_read(home):
    write(home / "mine/model/mono.yaml", "{parents: [default], dim: 3}")
    config = mine().config(*mine().run("mono_single").names)
    assert config.values["dim"] == 3
    known = ["parent", *(key for key in config.values if key != "parents")]
    with pytest.raises(DataError, match="mine/model/mono.yaml: nobody reads the key `parents`; did you mean `parent`"):
        config.require_read(known)


def test_names_of_trainings(home):
    assert tag_of("default", "scl") == "scl" and tag_of("concat", "scl", "thin") == "concat_scl_thin"
    found = [(run.tag, run.start) for run in Recipe().all_runs() if not run.tag.endswith("_captions")]
    assert found == [
        ("masks", ""), ("single", "masks"), ("multi", "masks"), ("scl", "masks"),
        ("concat_seld", ""), *((f"concat_{stage}", "concat_seld") for stage in ("single", "multi", "scl")),
        ("mono_single", ""), ("concat_scl_thin", ""),
    ]  # fmt: skip
    assert Recipe().run("concat_scl_thin_captions").start == "concat_scl_thin"
    with pytest.raises(DataError, match="no training of conf is named concat_slc; did you mean concat_scl"):
        Recipe().run("concat_slc")


def test_trainings_of_stages(home):
    def tags(*arguments, **options):
        return [run.tag for run in Recipe().trainings(*arguments, **options)]

    assert tags(3, "concat") == tags(3, ablation="thin") == ["concat_seld", "concat_single"]
    assert tags(4) == ["multi", "scl"] and tags(4, ablation="thin") == ["concat_scl_thin"] and tags(4, "mono") == []
    assert tags(6, ablation="thin") == [f"concat_{name}_captions" for name in ("single", "multi", "scl_thin")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "nope"}, "--model nope: there is no conf/model/nope.yaml; there are: default concat mono"),
        ({"ablation": "nope"}, "--ablation nope: there is no conf/ablation/nope.yaml; there are: thin"),
        ({"ablation": "thin", "model": "default"}, "the ablation thin is one of model concat"),
    ],
)
def test_options_that_do_not_fit_are_refused(home, options, message):
    assert Recipe().model_of("concat", "thin") == Recipe().model_of(ablation="thin") == "concat"
    with pytest.raises(DataError, match=re.escape(message)):
        Recipe().trainings(4, **options)


def test_overlays_of_nothing_are_refused(home):
    write(home / "over/train/slc.yaml", "{}")
    with pytest.raises(DataError, match="train/slc.yaml is laid over nothing.*did you mean train/scl.yaml"):
        Recipe(overlay=home / "over")
    (home / "empty").mkdir()
    with pytest.raises(DataError, match="holds no .yaml file"):
        Recipe(overlay=home / "empty")
    with pytest.raises(DataError, match="data.yaml is laid over nothing"):
        Recipe(overlay=home / "mine")  # which corpus's?


def test_what_run_sh_asks(home, monkeypatch, capsys):
    for words, said in (
        ("files simu --corpus town --conf_overlay mine", "conf/simu.yaml\nmine/simu.yaml\n"),
        ("trainings 3 --model concat", "concat_seld \nconcat_single concat_seld\n"),
        ("trainings 4 --model mono", ""),
    ):
        monkeypatch.setattr(sys, "argv", ["recipe", *words.split()])
        recipe_program()
        assert capsys.readouterr().out == said


def test_header_is_the_first_sentence(home):
    assert header(home / "conf/ablation/thin.yaml") == "Thin: what width is worth"


def config(*words) -> tuple[int, str, str]:
    """`spclap config`: exit code, stdout and stderr."""
    ended = programs.run("spclap.cli", "config", *words)
    return ended.returncode, ended.stdout, ended.stderr


def test_show_has_every_key_once_with_its_file():
    code, said, _ = config("show", "scl", "--corpus", "esc50", "--", "--batch", "{2: 5}", "--dim=20")
    head, *lines = said.splitlines()
    assert code == 0 and head == "# scl: model/default + train/scl, starts from masks"
    table = {line.split()[0]: re.split(r"\s{2,}", line)[1:] for line in lines}
    assert len(table) == len(lines) and len({line.index(line.split()[-1]) for line in lines}) <= 2  # columns
    assert table["batch.2"] == ["5", "--train_args"] and table["dim"] == ["20", "--train_args"]
    assert table["max_epoch"] == ["16", "egs/esc50/conf/train/contrastive.yaml"]
    assert table["lr_scale.text_encoder"] == ["0.3", "conf/train/contrastive.yaml"]
    assert table["equal_level"] == ["true", "default"] and table["augment"] == ["{}", "default"]
    whole = yaml.safe_load((ROOT / "conf/model/default.yaml").read_text())
    assert table["frozen"][0] == str(whole["frozen"]).replace("'", "")


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("max_epochs: 3", "train/scl.yaml: nobody reads the key `max_epochs`; did you mean `max_epoch`"),
        ("batch_size: 3", "nobody reads the key `batch_size`"),
    ],
)
def test_show_refuses_a_key_that_nobody_reads(tmp_path, key, message):
    write(tmp_path / "train/scl.yaml", key)
    code, _, said = config("show", "scl", "--conf_overlay", tmp_path)
    assert code == 1 and message in said


def test_list_has_every_training_with_a_line():
    code, said, _ = config("list")
    assert code == 0
    for run in Recipe(ROOT / "conf").all_runs():
        if run.names != ("train/caption",):
            assert re.search(rf"^  {run.tag} +\w.+", said, flags=re.M), run.tag
    assert "\nconcat: The paper's architecture: " in said
