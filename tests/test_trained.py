"""Trainings that are used again: from any folder, under awkward names, damaged."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch
import yaml
from small_training import CLAP_ONLY, SMALL, arguments, parameters

from spclap.bin.train import main
from spclap.engine.trained import arguments as stored_arguments
from spclap.engine.trained import export, load_training
from spclap.errors import DataError
from spclap.inference import SpatialCLAP
from spclap.recipe import MODEL
from spclap.scene.corpus import Corpus


@pytest.fixture(scope="module")
def repo(corpus, tmp_path_factory) -> Path:
    """Where a pre-training and a model that starts from it were made with relative paths, one with a colon."""
    folder = tmp_path_factory.mktemp("repo")
    for name in ("data", "dump"):
        shutil.copytree(getattr(corpus, name), folder / name)
    here, before = Path.cwd(), sys.argv
    os.chdir(folder)
    try:
        relative = Corpus(Path("data"), Path("dump"))
        seld = {key: value for key, value in SMALL.items() if key not in CLAP_ONLY}
        for tag, task, config, init in (
            ("seld", "seld", seld, []),
            ("scl", "clap", {"frozen": ["content_encoder", "spatial_encoder"]}, ["--init", "exp:1/seed0/seld"]),
        ):
            Path("exp:1/seed0").mkdir(parents=True, exist_ok=True)
            given = arguments(relative, Path("exp:1/seed0") / tag, "--max_epoch", "1", task=task, config=config)
            if task == "seld":
                Path(given[1]).write_text(yaml.safe_dump({"task": "seld", **seld}))
            sys.argv = ["train", *init, *given]
            main()
    finally:
        os.chdir(here)
        sys.argv = before
    return folder


@pytest.fixture
def scl(repo, tmp_path) -> Path:
    """A copy of the model where it stood, in a copy of the repository."""
    shutil.copytree(repo, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy" / "exp:1" / "seed0" / "scl"


def test_a_training_starts_from_the_weights_it_was_given(repo):
    seld, scl = (parameters(repo / "exp:1/seed0" / tag, MODEL) for tag in ("seld", "scl"))
    part = {name.removeprefix("seld."): value for name, value in seld.items() if ".spatial_encoder." in name}
    assert part and all(torch.equal(scl[f"clap.{name}"], value) for name, value in part.items())


@pytest.mark.parametrize("place", [".", "exp:1", "..", "elsewhere"])
def test_export_works_from_anywhere(scl, tmp_path, monkeypatch, place):
    root = scl.parents[2]
    here = tmp_path / "elsewhere" if place == "elsewhere" else root / place
    here.mkdir(exist_ok=True)
    monkeypatch.chdir(here)
    export(Path(os.path.relpath(scl)), Path("m"))
    model = load_training(scl, Corpus(root / "data", root / "dump"))
    loaded = SpatialCLAP.from_pretrained("m").clap.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in model.clap.state_dict().items())
    text = Path("m/config.yaml").read_text()
    assert "training: exp:1/seed0/scl\n" in text and str(tmp_path) not in text and "scene_seconds: 1.0" in text
    assert SpatialCLAP.from_pretrained("m").arrays == ["pair:0.17"]


def test_relative_paths_stay_as_they_are_where_the_training_was_made(repo, monkeypatch):
    monkeypatch.chdir(repo)
    args = stored_arguments(Path("exp:1/seed0/scl"))
    assert (args.data, args.dump) == ("data", "dump")


def damaged(scl: Path, change) -> None:
    """Weights that were damaged before the stamp was written, which therefore does not tell."""
    done = json.loads((scl / "done.json").read_text())
    (scl / "done.json").write_text(json.dumps({**done, "outputs": {}}))
    weights = parameters(scl, MODEL)
    change(weights)
    (scl / MODEL).unlink()
    torch.save(weights, scl / MODEL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w["clap.logit_scale"].fill_(torch.nan), "`clap.logit_scale` has values that are not finite"),
        (lambda w: w.pop("clap.logit_scale"), "does not fit .*config.yaml: .*logit_scale"),
        (lambda w: w.clear(), "holds no weights"),
    ],
)
def test_weights_that_cannot_be_used_are_refused(scl, change, message):
    root = scl.parents[2]
    damaged(scl, change)
    with pytest.raises(DataError, match=message) as error:
        load_training(scl, Corpus(root / "data", root / "dump"))
    assert str(scl / MODEL) in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(DataError, match=message):
        export(scl, scl.parent / "m")
    assert not (scl.parent / "m").exists()


def test_weights_to_start_from_must_fit(scl, monkeypatch):
    root, seld = scl.parents[2], scl.parent / "seld"
    monkeypatch.chdir(root)
    for change, message in (
        (
            lambda w: w.pop(next(name for name in w if "spatial_encoder" in name)),
            "its seld.spatial_encoder does not fit",
        ),
        (lambda w: next(iter(w.values())).fill_(torch.inf), "not finite"),
    ):
        shutil.copytree(seld, seld.with_name("other"), symlinks=True)
        damaged(seld.with_name("other"), change)
        given = arguments(Corpus(Path("data"), Path("dump")), Path("new"))
        monkeypatch.setattr(sys, "argv", ["train", "--init", str(seld.with_name("other")), *given])
        with pytest.raises(DataError, match=message):
            main()
        shutil.rmtree(seld.with_name("other"))
    assert not (root / "new").exists()
