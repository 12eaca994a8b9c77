"""Models by name: the released one, folders, and a hub that is a folder laid out as its cache."""

import hashlib
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pytest
from tiny_models import tiny_roberta

from spclap.errors import DataError
from spclap.inference import SpatialCLAP
from spclap.model import hub
from spclap.model.checkpoints import save_model
from spclap.model.spatial_clap import SpatialClap


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A model directory, with a file that is none of a model's."""
    root = tmp_path_factory.mktemp("models")
    tiny_roberta(root / "roberta")
    conf = {
        "content_encoder": "cnn", "content_encoder_conf": {"channels": 4, "dim": 16}, "dim": 16,
        "spatial_encoder_conf": {"channels": 4, "hidden": 8, "input": {"bins": 64}},
        "text_encoder_conf": {"name": str(root / "roberta"), "pooling": "mean", "train_layers": 1},
    }  # fmt: skip
    save_model(SpatialClap(**conf), conf, root / "model", scene_seconds=1.0)
    (root / "model" / "README.md").write_text("a card")
    (root / "model" / "notes.pdf").write_text("not needed")
    return root / "model"


def sound(seed: int = 0) -> np.ndarray:
    left = np.random.default_rng(seed).standard_normal(16000).astype("f")
    return 0.1 * np.stack([left, np.roll(left, 5)])


class Hub:
    """What HfApi does, into the layout of the hub's cache: snapshots of links to blobs."""

    def __init__(self, cache: Path):
        self.cache, self.said = cache, []

    def __call__(self, token=None):
        self.said.append(("token", token))
        return self

    def create_repo(self, name, private, exist_ok):
        self.said.append(("repo", name, private))

    def create_branch(self, name, branch, exist_ok):
        self.said.append(("branch", branch))

    def upload_folder(self, repo_id, folder_path, revision, commit_message, allow_patterns):
        home = self.cache / f"models--{repo_id.replace('/', '--')}"
        commit = hashlib.sha1(commit_message.encode()).hexdigest()
        for path in Path(folder_path).rglob("*"):
            name = path.relative_to(folder_path)
            if path.is_dir() or not any(name.match(pattern) for pattern in allow_patterns):
                continue
            blob = home / "blobs" / hashlib.sha256(path.read_bytes()).hexdigest()
            blob.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, blob)
            link = home / "snapshots" / commit / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(os.path.relpath(blob, link.parent))
        ref = home / "refs" / (revision or "main")
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(commit)
        return SimpleNamespace(commit_url=f"https://hub/{commit}")


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """Where the hub's library looks, without network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub._snapshot_download.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub, "HfApi", Hub(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_is_pushed_is_fetched_and_hears_the_same(folder, cache):
    model = SpatialCLAP.from_pretrained(folder)
    url = model.push_to_hub("me/spatial.clap", token="secret", private=True)
    assert url.startswith("https://hub/") and huggingface_hub.HfApi.said[0] == ("token", "secret")
    assert ("repo", "me/spatial.clap", True) in huggingface_hub.HfApi.said
    fetched = SpatialCLAP.from_pretrained("me/spatial.clap")
    assert {path.name for path in fetched.folder.iterdir()} == {path.name for path in folder.iterdir()} - {"notes.pdf"}
    assert fetched.folder.joinpath("model.safetensors").is_symlink()
    np.testing.assert_array_equal(*(one.embed_audio(sound(), 16000) for one in (model, fetched)))
    np.testing.assert_array_equal(*(one.embed_text("dog") for one in (model, fetched)))
    assert fetched.scene_seconds == 1.0


def test_a_revision_is_the_one_that_is_fetched(folder, cache, tmp_path):
    model = SpatialCLAP.from_pretrained(folder)
    model.save_pretrained(tmp_path / "second")
    (tmp_path / "second" / "README.md").write_text("another card")
    model.push_to_hub("me/model")
    second = SpatialCLAP.from_pretrained(tmp_path / "second")
    second.push_to_hub("me/model", revision="v2", commit_message="second")
    commit = hashlib.sha1(b"second").hexdigest()
    for revision, card in ((None, "a card"), ("v2", "another card"), (commit, "another card")):
        found = SpatialCLAP.from_pretrained("me/model", revision=revision)
        assert (found.folder / "README.md").read_text() == card
    with pytest.raises(DataError, match="^me/model at v3: .*no folder here, and no model directory of the hub"):
        SpatialCLAP.from_pretrained("me/model", revision="v3")


def test_nothing_is_fetched_but_what_is_listed(folder, cache, monkeypatch):
    SpatialCLAP.from_pretrained(folder).push_to_hub("me/model", commit_message="first")
    fetch, asked = huggingface_hub.snapshot_download, []
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda *args, **named: asked.append(named) or fetch(*args, **named)
    )
    found = hub.fetched("me/model")
    commit = hashlib.sha1(b"first").hexdigest()
    names = {path.relative_to(found).as_posix() for path in found.rglob("*") if path.is_file()}
    assert [one["revision"] for one in asked] == [None, commit]  # both of one commit, whatever is pushed meanwhile
    assert asked[0]["allow_patterns"] == ["SHA256SUMS"] and set(asked[1]["allow_patterns"]) == names
    (found / "SHA256SUMS").unlink()
    with pytest.raises(DataError, match="SHA256SUMS: missing.*give a model of spclap"):
        hub.fetched("me/model")


def test_links_of_the_hub_lead_into_its_repository_alone(folder, cache, tmp_path):
    SpatialCLAP.from_pretrained(folder).push_to_hub("me/model")
    weights = hub.fetched("me/model") / "model.safetensors"
    elsewhere = tmp_path / "cache" / "weights"
    shutil.copyfile(weights, elsewhere)
    weights.unlink()
    weights.symlink_to(elsewhere)
    with pytest.raises(DataError, match="model.safetensors is a link out of the folder"):
        SpatialCLAP.from_pretrained("me/model")


def test_a_saved_model_is_a_model_directory(folder, tmp_path):
    model = SpatialCLAP.from_pretrained(folder)
    model.save_pretrained(tmp_path / "copy")
    again = SpatialCLAP.from_pretrained(str(tmp_path / "copy"))
    np.testing.assert_array_equal(*(one.embed_audio(sound(), 16000) for one in (model, again)))
    with pytest.raises(DataError, match="copy: is there already"):
        model.save_pretrained(tmp_path / "copy")
    with pytest.raises(DataError, match="was not loaded from a folder"):
        SpatialCLAP(model.clap, scene_seconds=1.0).save_pretrained(tmp_path / "none")


def test_names_of_nothing_are_told(folder, cache, tmp_path, monkeypatch):
    for name, message in (
        ("me/nothing", "me/nothing is no folder here, and no model directory of the hub or of its cache; correct it"),
        (tmp_path / "none", "none/config.yaml: not found"),
        ("./me/none", "config.yaml: not found"),
        ("none", "config.yaml: not found"),
    ):
        with pytest.raises(DataError, match=message):
            SpatialCLAP.from_pretrained(name)
    for name in (folder, None):
        with pytest.raises(DataError, match="revision v1: .* is not on the hub; leave it out"):
            SpatialCLAP.from_pretrained(name, revision="v1")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folder, "me/here")
    assert (
        SpatialCLAP.from_pretrained("me/here").folder == tmp_path / "me" / "here"
    )  # a folder comes first, wherever one goes


def test_no_name_is_the_released_model(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(hub, "RELEASED", folder)
    assert SpatialCLAP.from_pretrained().folder == folder
    monkeypatch.setattr(hub, "RELEASED", tmp_path / "released")
    with pytest.raises(DataError, match="released: this installation has no released model; install it anew"):
        SpatialCLAP.from_pretrained()


def test_the_hub_is_an_extra(folder, monkeypatch):
    model = SpatialCLAP.from_pretrained(folder)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for ask in (lambda: SpatialCLAP.from_pretrained("me/model"), lambda: model.push_to_hub("me/model")):
        with pytest.raises(DataError, match=r"need huggingface_hub; run `pip install spclap\[hub\]`"):
            ask()
