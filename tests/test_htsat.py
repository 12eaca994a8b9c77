"""HTSAT and its front end against transformers."""

import json

import numpy as np
import pytest
import torch
from tiny_models import tiny_clap
from transformers import ClapFeatureExtractor, ClapModel

from spclap.errors import DataError
from spclap.model.htsat import WINDOW, Htsat, LogMel, fit_windows
from spclap.model.spatial_clap import SpatialClap

EXTRACTOR = ClapFeatureExtractor(frequency_min=50, frequency_max=14000, truncation="rand_trunc", padding="repeatpad")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("clap")
    tiny_clap(path)
    return path


def recording(seconds: float, rate: int = 48000, seed: int = 0) -> np.ndarray:
    """A chirp that fades away over noise 100 dB below."""
    time = np.arange(round(seconds * rate)) / rate
    chirp = np.sin(2 * np.pi * (60 * time + 0.4 * rate / seconds / 2 * time**2)) * np.exp(-3 * time / seconds)
    return (0.5 * chirp + 1e-5 * np.random.default_rng(seed).standard_normal(len(time))).astype("f")


def reference(audio: np.ndarray) -> torch.Tensor:
    return torch.as_tensor(np.asarray(EXTRACTOR(audio, sampling_rate=48000)["input_features"]), dtype=torch.float32)


@pytest.mark.parametrize("seconds", [0.9, 3.3, 7.0, 10.0])
def test_front_end_equals_transformers(seconds):
    audio = recording(seconds)
    front = LogMel().to(torch.float32)  # trainers cast buffers
    ours, expected = front(fit_windows(torch.from_numpy(audio)[None])[:, 0]), reference(audio)
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours, expected, atol=1e-3, rtol=0)


def test_long_recordings_are_covered_by_windows_that_end_with_them():
    audio = torch.arange(2 * WINDOW + 5.0)[None]
    windows = fit_windows(audio)[0]
    assert windows.shape == (3, WINDOW)
    assert [int(row[0]) for row in windows] == [0, WINDOW, WINDOW + 5] and windows[-1, -1] == audio[0, -1]


def test_tower_equals_transformers_on_resampled_audio(folder):
    encoder, model = Htsat(str(folder)).eval(), tiny_clap(folder)
    mono = torch.from_numpy(recording(4.0, rate=16000))[None]
    with torch.no_grad():
        features = reference(encoder.resample(mono)[0].numpy())
        expected = model.audio_model(input_features=features).pooler_output
        ours = encoder(mono)
    assert ours.shape == (1, encoder.dim) == (1, 64)
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-3)


def test_resampling_keeps_tones_and_adds_none(folder):
    encoder = Htsat(str(folder), pretrained=False)
    time = torch.arange(16000) / 16000
    out = encoder.resample(torch.sin(2 * np.pi * 1000 * time)[None])[0]
    spectrum = torch.fft.rfft(out * torch.hann_window(48000)).abs()
    assert len(out) == 48000 and int(spectrum.argmax()) == 1000
    assert spectrum[9000:].max() < 1e-3 * spectrum.max()


def test_long_recording_is_the_mean_of_its_windows(folder):
    encoder = Htsat(str(folder)).eval()
    mono = torch.from_numpy(recording(15.0, rate=16000))[None]
    with torch.no_grad():
        resampled = encoder.resample(mono)
        parts = [resampled[:, :WINDOW], resampled[:, -WINDOW:]]
        expected = sum(encoder.tower(input_features=encoder.front(part)).pooler_output for part in parts) / 2
        torch.testing.assert_close(encoder(mono), expected)


def test_front_end_stays_in_float32_under_autocast(folder):
    front, windows = LogMel(), fit_windows(torch.from_numpy(recording(3.0))[None])[:, 0]
    with torch.autocast("cpu", torch.bfloat16):
        inside = front(windows)
    assert inside.dtype == torch.float32 and torch.equal(inside, front(windows))


def test_checkpointing_changes_no_gradient(folder):
    gradients, passes = [], []
    for checkpointing in (False, True):
        encoder = Htsat(str(folder), checkpointing=checkpointing).train()
        for module in encoder.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        block, calls = encoder.tower.audio_encoder.layers[0].blocks[0], []
        block.register_forward_hook(lambda *args, calls=calls: calls.append(1))
        encoder(torch.from_numpy(recording(2.0, rate=16000))[None]).sum().backward()
        passes.append(len(calls))
        gradients.append([p.grad.clone() for p in encoder.tower.parameters() if p.grad is not None])
    assert passes == [1, 2]  # once more on the way back
    assert len(gradients[0]) == len(gradients[1]) > 50
    for plain, again in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, again)


def test_an_average_of_checkpoints_works(folder):
    """ESPnet adds up integer tensors instead of averaging them."""
    encoder = Htsat(str(folder)).eval()
    state = encoder.state_dict()
    assert not any("relative_position_index" in name for name in state)
    average = {name: value if value.is_floating_point() else 3 * value for name, value in state.items()}
    again = Htsat(str(folder), pretrained=False).eval()
    again.load_state_dict(average)
    mono = torch.from_numpy(recording(2.0, rate=16000))[None]
    with torch.no_grad():
        torch.testing.assert_close(again(mono), encoder(mono))


def test_untrained_network_of_the_same_configuration(folder):
    ours, untrained = Htsat(str(folder)), Htsat(str(folder), pretrained=False)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in untrained.state_dict().items()}
    assert not torch.equal(ours.tower.audio_encoder.norm.weight, untrained.tower.audio_encoder.norm.weight)


def test_a_model_stored_in_half_precision_works_in_float32(folder, tmp_path):
    ClapModel.from_pretrained(folder).to(torch.bfloat16).save_pretrained(tmp_path)
    for pretrained in (True, False):
        encoder = Htsat(str(tmp_path), pretrained=pretrained)
        assert {p.dtype for p in encoder.parameters()} == {torch.float32}


def test_missing_and_fused_models_are_refused(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match="give a folder with config.json and weights"):
        Htsat("laion/larger_clap_general")
    tiny_clap(tmp_path / "fused", fusion=True)
    with pytest.raises(ValueError, match="unfused"):
        Htsat(str(tmp_path / "fused"))
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "wider").mkdir()
    for file in folder.iterdir():
        (tmp_path / "wider" / file.name).write_bytes(file.read_bytes())
    config["audio_config"]["depths"] = [2, 2, 3, 1]
    (tmp_path / "wider" / "config.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match=r"missing .*layers\.2\.blocks\.[12]"):
        Htsat(str(tmp_path / "wider"))


def test_fusions_that_need_maps_refuse_it(folder):
    with pytest.raises(DataError, match="needs content_encoder yamnet or cnn"):
        SpatialClap(
            content_encoder="htsat", content_encoder_conf={"name": str(folder)}, spatial_encoder="masks",
            fusion="directions", text_head="queries", dim=510,
        )  # fmt: skip
