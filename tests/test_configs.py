"""Every shipped training config builds its model, with every overlay that it is used with."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from spclap.data.config import load_yaml
from spclap.data.datadir import Clip, write_datadir
from spclap.data.stamp import scenes_digest
from spclap.scene.corpus import Corpus

ROOT = Path(__file__).resolve().parents[1]
CONF = ROOT / "conf"
ABLATIONS = sorted((CONF / "ablations").glob("*.yaml"))
TRAINED = ("seld", "masks", "single", "scl")


def layers(name: str, arch: Path | None = None) -> list[Path]:
    """What run.sh would lay over each other for train_<name>.yaml."""
    return [CONF / f"train_{name}.yaml", *([arch / f"train_{name}.yaml"] if arch else [])]


ARCHS = sorted((CONF / "arch").iterdir())
LAYERS = [layers(name) for name in TRAINED]
LAYERS += [layers(path.stem.removeprefix("train_"), arch) for arch in ARCHS for path in sorted(arch.iterdir())]
OF_CONCAT = ("paper_spatial_encoder", "clauses")
LAYERS += [[*layers("scl"), ablation] for ablation in ABLATIONS if ablation.stem not in OF_CONCAT]
LAYERS += [[*layers("scl", CONF / "arch" / "concat"), CONF / "ablations" / "clauses.yaml"]]
LAYERS += [[*layers("single"), CONF / "ablations" / "cnn_content.yaml"]]
PAPER = CONF / "ablations" / "paper_spatial_encoder.yaml"
LAYERS += [[*layers(name, CONF / "arch" / "concat"), PAPER] for name in ("seld", "single", "scl")]
for overlay in sorted(ROOT.glob("egs/*/conf/train_*.yaml")):
    LAYERS += [[CONF / overlay.name, overlay]]


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
    write_datadir(folder / "train", [Clip(label, "x.wav", ("a sound",), (label,), label) for label in labels])
    shutil.copy(corpus.data / "simu.yaml", folder)
    for name in ("rirs", "scenes"):
        shutil.copytree(corpus.data / name, folder / name)
    return folder


@pytest.mark.parametrize("files", LAYERS, ids=lambda files: "+".join(f"{p.parent.name}/{p.stem}" for p in files))
def test_dry_run(files, corpus, dump, tmp_path):
    groups = load_yaml(*files).get("classes")
    data = data_with_labels(tmp_path / "data", corpus, groups) if groups else corpus.data
    command = [sys.executable, "-m", "spclap.bin.train", "--config", *files, "--data", data, "--dump", dump]
    command += ["--exp", tmp_path / "exp", "--", "--dry_run", "true"]
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "Number of trainable parameters" in result.stderr
    assert not (tmp_path / "exp").exists()


def test_ablations_and_architectures_are_short_and_say_why():
    for path in ABLATIONS + [file for arch in ARCHS for file in arch.iterdir()]:
        lines = path.read_text().splitlines()
        assert len(lines) <= 12 and lines[0].startswith("# "), path
