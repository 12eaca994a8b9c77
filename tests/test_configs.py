"""Every shipped training config builds its model, with every overlay that it is used with."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny_models import tiny_clap, tiny_roberta

from spclap.bin.train import main
from spclap.data.config import load_config, load_yaml
from spclap.data.datadir import Clip, write_datadir
from spclap.data.stamp import scenes_digest
from spclap.model.spatial_encoder import ContentAwareSpatialEncoder
from spclap.scene.conf import SimuConf
from spclap.scene.corpus import Corpus

ROOT = Path(__file__).resolve().parents[1]
BASES = (ROOT / "conf", ROOT / "conf" / "paper")
OF_CONCAT = ("paper_spatial_encoder", "clauses", "no_clap_init", "no_seld_init")  # in conf/, for --arch concat


def layers(conf: Path, name: str, arch: str = "", ablation: str = "") -> list[Path]:
    """What run.sh would lay over each other for train_<name>.yaml."""
    over = [conf / "arch" / arch / f"train_{name}.yaml"] if arch else []
    return [conf / f"train_{name}.yaml", *over, *([conf / "ablations" / f"{ablation}.yaml"] if ablation else [])]


def shipped(conf: Path) -> list[list[Path]]:
    """Every training config of a folder, every architecture's and every ablation."""
    names = [path.stem.removeprefix("train_") for path in sorted(conf.glob("train_*.yaml"))]
    found = [layers(conf, name) for name in names if name != "caption"]  # that one is trained in test_captioning.py
    for path in sorted(conf.glob("arch/*/train_*.yaml")):
        found.append(layers(conf, path.stem.removeprefix("train_"), path.parent.name))
    for path in sorted(conf.glob("ablations/*.yaml")):
        arch = "concat" if conf == BASES[0] and path.stem in OF_CONCAT else ""
        found.append(layers(conf, "scl", arch, path.stem))
    return found


LAYERS = [files for conf in BASES for files in shipped(conf)]
LAYERS += [layers(BASES[0], "single", ablation="cnn_content")]
LAYERS += [layers(BASES[0], name, "concat", "paper_spatial_encoder") for name in ("seld", "single")]
LAYERS += [[BASES[0] / path.name, path] for path in sorted(ROOT.glob("egs/*/conf/train_*.yaml"))]


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Path:
    """An overlay that names tiny local models in place of those of the hub."""
    folder = tmp_path_factory.mktemp("hub")
    tiny_clap(folder / "clap")
    tiny_roberta(folder / "roberta")
    names = {
        f"{part}_encoder_conf": {"name": str(folder / n)} for part, n in (("content", "clap"), ("text", "roberta"))
    }
    (folder / "hub.yaml").write_text(json.dumps(names))
    return folder / "hub.yaml"


@pytest.fixture(scope="module")
def dump(corpus, tmp_path_factory) -> Path:
    """A dump with statistics of the shipped STFT size."""
    folder = tmp_path_factory.mktemp("dump")
    shutil.copy(corpus.dump / "tokenizer.model", folder)
    tables = {
        f"{kind}.1024.512.{what}": torch.ones(4, 513)
        for kind in ("magnitude_phase", "phase_difference")
        for what in ("mean", "std")
    }
    save_file(tables, folder / "statistics.safetensors")
    (folder / "done.json").write_text(json.dumps({"complete": True, "scenes": scenes_digest(corpus.data)}))
    return folder


def data_with_labels(folder: Path, corpus: Corpus, groups: dict[str, list[str]]) -> Path:
    """A data directory whose training labels are those that a config groups into classes."""
    labels = [label for group in groups.values() for label in group]
    for split in ("train", "valid", "test"):
        write_datadir(folder / split, [Clip(label, "x.wav", ("a sound",), (label,), label) for label in labels])
    shutil.copy(corpus.data / "simu.yaml", folder)
    for name in ("rirs", "scenes"):
        shutil.copytree(corpus.data / name, folder / name)
    return folder


@pytest.mark.parametrize("files", LAYERS, ids=lambda files: "+".join(f"{p.parent.name}/{p.stem}" for p in files))
def test_dry_run(files, corpus, dump, hub, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    if load_yaml(*files).get("content_encoder") == "htsat":
        files = [*files, hub]
    groups = load_yaml(*files).get("classes")
    data = data_with_labels(tmp_path / "data", corpus, groups) if groups else corpus.data
    arguments = ["--config", *files, "--data", data, "--dump", dump, "--exp", tmp_path / "exp"]
    monkeypatch.setattr(sys, "argv", ["train", *map(str, [*arguments, "--", "--dry_run", "true"])])
    main()
    assert "Number of trainable parameters" in caplog.text
    assert not (tmp_path / "exp").exists()


def test_the_papers_model_is_trained_and_scored_without_dumped_content(corpus, hub, tmp_path):
    """Stages 3 to 5 of conf/paper, a step each, on a dump made by its feats.yaml."""
    data, dump, exp = corpus.data, tmp_path / "dump", tmp_path / "exp"
    shutil.copytree(corpus.dump, dump)
    shutil.rmtree(dump / "content")
    done = json.loads((dump / "done.json").read_text())
    done["conf"]["content_encoder"] = load_yaml(BASES[1] / "feats.yaml")["content_encoder"]
    del done["outputs"]
    (dump / "done.json").write_text(json.dumps(done))
    small = tmp_path / "small.yaml"
    once = {"max_epoch": 1, "num_iters_per_epoch": 1, "num_workers": 0, "use_matplotlib": False}
    small.write_text(json.dumps({"batch": {1: 1, 2: 1}, **once}))

    def run(program: str, *arguments):
        command = [sys.executable, "-m", f"spclap.bin.{program}", "--data", data, "--dump", dump, *arguments]
        result = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr[-3000:]

    run("train", "--config", *layers(BASES[1], "seld"), small, "--exp", exp / "seld")
    run("train", "--config", *layers(BASES[1], "scl"), hub, small, "--exp", exp / "scl", "--init", exp / "seld")
    conf = ("--corpus", "tiny", "--results", tmp_path / "results.json", "--conf", BASES[1] / "score.yaml")
    run("score", "--exp", exp, *conf)
    assert {row["tag"] for row in json.loads((tmp_path / "results.json").read_text())} - {"ceiling", "delay_alone"} == {
        "seld",
        "scl",
    }


def test_ablations_and_architectures_are_short_and_say_why():
    for path in [path for conf in BASES for pattern in ("ablations/*", "arch/*/*") for path in conf.glob(pattern)]:
        lines = path.read_text().splitlines()
        assert len(lines) <= 12 and lines[0].startswith("# "), path


def test_paper_configs_are_the_papers_model():
    """Sizes of the paper's sections on system and data."""
    config = load_yaml(BASES[1] / "train_scl.yaml")
    assert config["batch"] == {1: 64, 2: 32} and config["permutations"] == 2
    assert (config["optim"], config["optim_conf"], config["max_epoch"]) == ("adam", {"lr": 1.0e-5}, 50)
    encoder = ContentAwareSpatialEncoder(**config["spatial_encoder_conf"])
    assert encoder.middle_linear.weight.shape == (128, 4096) and encoder.dim == 256
    simu = load_config(SimuConf, BASES[1] / "simu.yaml")
    assert sum(simu.rooms.count.values()) == 440 and simu.rooms.rt60 == [0.13, 0.26]
