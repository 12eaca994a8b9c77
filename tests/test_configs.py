"""Every shipped training config builds its model, with every overlay that it is used with."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from tiny_models import tiny_clap, tiny_roberta

from spclap.bin.train import main
from spclap.data.config import load_config
from spclap.data.datadir import Clip, write_datadir
from spclap.data.pack import write_pack
from spclap.data.stamp import Stamp
from spclap.model.spatial_encoder import ContentAwareSpatialEncoder
from spclap.recipe.compose import Recipe
from spclap.scene.conf import SimuConf
from spclap.scene.corpus import Corpus

ROOT = Path(__file__).resolve().parents[1]
BASES = (ROOT / "conf", ROOT / "conf" / "paper")
TINY = ROOT / "tests" / "tiny_conf"
CAPTIONER = ("train/caption",)  # trained in test_captioning.py


def of_corpora() -> list[tuple[Path, str, str, Path | None]]:
    """Trainings that files in egs/<corpus>/conf change: of two models, which have every stage between them."""
    found = []
    for corpus in sorted(path.name for path in (ROOT / "egs").iterdir()):
        recipe = Recipe(BASES[0], corpus)
        runs = [run for model in ("default", "concat") for stage in (3, 4) for run in recipe.trainings(stage, model)]
        found += [(BASES[0], corpus, run.tag, None) for run in runs if "egs" in str(recipe.files(*run.names))]
    return found


CASES = [(conf, "", run.tag, None) for conf in BASES for run in Recipe(conf).all_runs() if run.names != CAPTIONER]
CASES += of_corpora()
CASES += [
    (BASES[0], "", run.tag, TINY)
    for model in Recipe(BASES[0]).there("model")
    for run in Recipe(BASES[0]).trainings(3, model)
]


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Path:
    """A file that names tiny local models in place of those of the hub, over model/default.yaml of conf/paper."""
    folder = tmp_path_factory.mktemp("hub")
    tiny_clap(folder / "clap")
    tiny_roberta(folder / "roberta")
    names = {
        f"{part}_encoder_conf": {"name": str(folder / n)} for part, n in (("content", "clap"), ("text", "roberta"))
    }
    (folder / "model").mkdir()
    (folder / "model" / "default.yaml").write_text(json.dumps(names))
    return folder


def with_labels(root: Path, corpus: Corpus, groups: dict[str, list[str]]) -> Corpus:
    """A corpus whose training labels are those that a config groups into classes."""
    labels, sound = [label for group in groups.values() for label in group], np.ones(4000, dtype=np.float32)
    for split in ("train", "valid", "test"):
        clips = [Clip(label, "x.wav", ("a sound",), (label,), label) for label in labels]
        write_datadir(root / "data" / split, clips)
        write_pack(root / "dump" / "clips" / split, ((label, sound) for label in labels))
    Stamp(root / "dump" / "clips").write()
    shutil.copy(corpus.dump / "feats.yaml", root / "dump")
    shutil.copy(corpus.data / "simu.yaml", root / "data")
    for name in ("rirs", "scenes"):
        shutil.copytree(corpus.data / name, root / "data" / name)
    return Corpus(root / "data", root / "dump")


def named(case) -> str:
    conf, corpus, tag, overlay = case
    return "/".join(filter(None, [conf.name, corpus, overlay and overlay.name, tag]))


@pytest.mark.parametrize("case", CASES, ids=named)
def test_dry_run(case, corpus, hub, tmp_path, monkeypatch, caplog):
    """Every training that can be composed builds its model; a pre-trained one is not needed for that."""
    caplog.set_level("INFO")
    conf, name, tag, overlay = case
    recipe = Recipe(conf, name, hub if conf == BASES[1] else overlay)
    config = recipe.config(*recipe.run(tag).names).values
    if groups := config.get("classes"):
        corpus = with_labels(tmp_path, corpus, groups)
    (tmp_path / "whole.yaml").write_text(yaml.safe_dump(config))
    arguments = ["--config", tmp_path / "whole.yaml", "--data", corpus.data, "--dump", corpus.dump]
    arguments += ["--exp", tmp_path / "exp"]
    monkeypatch.setattr(sys, "argv", ["train", *map(str, [*arguments, "--", "--dry_run", "true"])])
    main()
    assert "Number of trainable parameters" in caplog.text
    assert not (tmp_path / "exp").exists()


def test_corpora_change_trainings():
    """What a corpus lays over a config is found from the repository, where pytest runs."""
    assert {(corpus, tag) for _, corpus, tag, _ in of_corpora()} >= {("mini", "concat_seld"), ("esc50", "scl")}


@pytest.mark.slow
def test_the_papers_model_is_trained_and_scored(corpus, hub, tmp_path):
    """Stages 3 to 5 of conf/paper, a step each: nothing is frozen, so nothing is kept of what is heard."""
    data, dump, exp = corpus.data, tmp_path / "dump", tmp_path / "tiny" / "seed0"
    shutil.copytree(corpus.dump, dump, ignore=shutil.ignore_patterns("heard"))
    overlay = tmp_path / "overlay"
    shutil.copytree(hub, overlay)
    (overlay / "train").mkdir()
    once = {"max_epoch": 1, "num_iters_per_epoch": 1, "num_workers": 0, "use_matplotlib": False}
    for name, changes in (("seld", {"batch": {1: 1, 2: 1}}), ("contrastive", {}), ("scl", {"batch": {1: 1, 2: 1}})):
        (overlay / "train" / f"{name}.yaml").write_text(json.dumps({**changes, **(once if name != "scl" else {})}))
    layers = ("--conf", BASES[1], "--conf_overlay", overlay)

    def run(program: str, *arguments):
        command = [sys.executable, "-m", f"spclap.{program}", *arguments, "--data", data, "--dump", dump]
        result = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr[-3000:]

    run("bin.train", "--run", "seld", *layers, "--exp", exp / "seld")
    run("bin.train", "--run", "scl", *layers, "--exp", exp / "scl")  # from exp/seld
    told = (exp / "scl" / "config_sources.txt").read_text()
    assert re.search(rf"^max_epoch +1 +{overlay}/train/contrastive.yaml$", told, flags=re.M), told
    assert re.search(rf"^dim +512 +{BASES[1]}/model/default.yaml$", told, flags=re.M), told
    conf = ("--conf", BASES[1] / "score.yaml", "--out", tmp_path)
    run("cli", "score", exp, "--benchmark", "fixed", *conf)
    tags = {row["tag"] for row in json.loads((tmp_path / "results.json").read_text())}
    assert tags == {"ceiling", "direct_sound", "seld", "scl"}
    assert not (dump / "heard").exists()


def test_models_stages_and_ablations_say_why_and_differences_are_short():
    for path in [path for conf in BASES for kind in ("model", "train", "ablation") for path in conf.glob(f"{kind}/*")]:
        lines = path.read_text().splitlines()
        assert lines[0].startswith("# "), path
        assert len(lines) <= 14 or "parents" not in path.read_text(), path


def test_no_config_is_a_link():
    assert not [path for folder in ("conf", "egs", "tests") for path in (ROOT / folder).rglob("*") if path.is_symlink()]


def test_paper_configs_are_the_papers_model():
    """Sizes of the paper's sections on system and data."""
    recipe = Recipe(BASES[1])
    config = recipe.config(*recipe.run("scl").names).values
    assert config["batch"] == {1: 64, 2: 32} and config["permutations"] == 2
    assert (config["optim"], config["optim_conf"], config["max_epoch"]) == ("adam", {"lr": 1.0e-5}, 50)
    encoder = ContentAwareSpatialEncoder(**config["spatial_encoder_conf"])
    assert encoder.middle_linear.weight.shape == (128, 4096) and encoder.dim == 256
    simu = load_config(SimuConf, BASES[1] / "simu.yaml")
    (rooms,) = simu.room_confs.values()
    assert sum(rooms.count.values()) == 440 and rooms.rt60 == [0.13, 0.26]
