"""Model directories, inference and the command, on models as small as can be."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from tiny_models import tiny_clap, tiny_roberta

from spclap.errors import DataError
from spclap.inference import SpatialCLAP
from spclap.model.checkpoints import load_model, read_checkpoint, save_model
from spclap.model.spatial_clap import SpatialClap

ROOT = Path(__file__).resolve().parents[1]
CAPTIONS = ["a dog on the left side", "a cat"]


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    tiny_clap(folder / "clap")
    tiny_roberta(folder / "roberta")
    return folder


def masks(corpus, hub) -> dict:
    return {
        "spatial_encoder": "masks", "spatial_encoder_conf": {"looks": 5, "channels": 4, "hidden": 8},
        "fusion": "directions", "fusion_conf": {"depth": 2}, "text_head": "queries", "dim": 20,
        "text_encoder": "transformer",
        "text_encoder_conf": {"tokenizer": str(corpus.dump / "tokenizer.model"), "dim": 16, "layers": 1},
    }  # fmt: skip


def paper(corpus, hub) -> dict:
    return {
        "content_encoder": "htsat", "content_encoder_conf": {"name": str(hub / "clap")},
        "spatial_encoder_conf": {"channels": 4, "hidden": 8, "input": {"bins": 64}},
        "text_encoder_conf": {"name": str(hub / "roberta"), "pooling": "pooler", "train_layers": 1},
        "dim": 16, "frozen": ["content_encoder"],
    }  # fmt: skip


@pytest.fixture(scope="module", params=[masks, paper])
def made(request, corpus, hub, tmp_path_factory):
    """A model and its directory."""
    conf = request.param(corpus, hub)
    torch.manual_seed(0)
    clap = SpatialClap(**conf).eval()
    with torch.no_grad():
        for value in clap.state_dict().values():
            if value.is_floating_point():
                value.mul_(1.1)  # what a training or the data changed, statistics included
    folder = tmp_path_factory.mktemp("models") / "model"
    save_model(clap, conf, folder, seed=3, scene_seconds=1.0)
    return clap, folder


def stereo(seconds: float = 1.0, rate: int = 16000) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal((2, round(seconds * rate))).astype("f")


def test_a_directory_gives_the_same_vectors_wherever_it_is_moved(made, tmp_path):
    clap, folder = made
    moved = tmp_path / "moved"
    subprocess.run(["cp", "-r", folder, moved], check=True)
    loaded = load_model(moved)
    audio = torch.from_numpy(stereo())[None]
    with torch.no_grad():
        assert torch.equal(loaded.embed_audio(audio), clap.embed_audio(audio))
        assert torch.equal(
            loaded.embed_text(loaded.text_encoder.tokenize(CAPTIONS)),
            clap.embed_text(clap.text_encoder.tokenize(CAPTIONS)),
        )
    assert str(folder.parent) not in (folder / "config.yaml").read_text()  # no path of this machine
    assert yaml.safe_load((folder / "config.yaml").read_text())["about"] == {"seed": 3, "scene_seconds": 1.0}
    assert not list(folder.rglob("*.bin")) + list(folder.rglob("*.pt*"))


def test_inference_needs_no_espnet_no_recipe_and_no_network(made):
    _, folder = made
    code = (
        "import sys, socket\nsys.modules['espnet2'] = sys.modules['espnet'] = None\n"
        "def refuse(*args): raise AssertionError('network')\nsocket.socket.connect = refuse\n"
        "import numpy as np\nfrom spclap.inference import SpatialCLAP\n"
        f"model = SpatialCLAP.from_pretrained({str(folder)!r})\n"
        "x = np.random.default_rng(0).standard_normal((2, 16000)).astype('f')\n"
        "assert (model.embed_audio([x], 16000) @ model.embed_text(['a dog', 'a cat']).T).shape == (1, 2)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_files_arrays_and_other_rates_agree(made, tmp_path):
    _, folder = made
    model = SpatialCLAP.from_pretrained(folder)
    time = np.arange(44100) / 44100
    audio = np.stack([np.sin(2 * np.pi * 440 * time), 0.3 * np.sin(2 * np.pi * 440 * (time - 2e-4))]).astype("f")
    soundfile.write(tmp_path / "a.wav", audio.T, 44100, subtype="FLOAT")
    file, array = model.embed_audio([tmp_path / "a.wav"]), model.embed_audio([audio, audio], 44100)
    np.testing.assert_allclose(file[0], array[1], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(array, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(model.embed_text(CAPTIONS, batch_size=1), model.embed_text(CAPTIONS), atol=1e-5)


@pytest.mark.parametrize(
    ("audio", "rate", "message"),
    [
        (stereo()[0], 16000, "expected (2, samples)"),
        (stereo().T, 16000, "expected (2, samples)"),
        (stereo(), None, "say its sample_rate"),
        (stereo(0.01), 16000, "0.010 s long, at least 0.1 s"),
        (0 * stereo(), 16000, "silent: its loudest 0.1 s"),
        (stereo() * np.nan, 16000, "NaN"),
    ],
)
def test_bad_recordings_are_named(made, audio, rate, message):
    model = SpatialCLAP(made[0], scene_seconds=1.0)
    with pytest.raises(DataError) as error:
        model.embed_audio([stereo(), audio] if rate else [audio], rate)
    assert message in str(error.value) and ("recording 1" if rate else "recording 0") in str(error.value)


def test_empty_captions_are_refused(made):
    for captions in ([], [""], ["a dog", None]):
        with pytest.raises(DataError, match="caption"):
            SpatialCLAP(made[0], scene_seconds=1.0).embed_text(captions)


def test_nothing_is_overwritten_and_nothing_half_written(made, corpus, hub, tmp_path, monkeypatch):
    clap, folder = made
    with pytest.raises(DataError, match="is there already"):
        save_model(clap, {}, folder)

    def full(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr("spclap.model.checkpoints.save_file", full)
    with pytest.raises(DataError, match="No space left"):
        save_model(clap, {}, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_damaged_directories_are_named(made, tmp_path):
    folder = made[1]
    with pytest.raises(DataError, match="config.yaml: not found"):
        load_model(tmp_path)
    damaged = tmp_path / "damaged"
    subprocess.run(["cp", "-r", folder, damaged], check=True)
    (damaged / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:5000])
    with pytest.raises(DataError, match="damaged model directory"):
        load_model(damaged)


def test_a_device_that_is_not_there_is_named(made):
    for device in ("cuda:77", "cdua"):
        with pytest.raises(DataError, match=f"device {device}: .*; give another, such as cpu"):
            load_model(made[1], device)


def test_a_checkpoint_that_runs_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path(tmp_path / "ran").touch, ())

    torch.save({"model_state_dict": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(DataError, match="evil.pt"):
        read_checkpoint(tmp_path / "evil.pt")
    assert not (tmp_path / "ran").exists()


def test_command_embeds_files_and_captions(made, tmp_path):
    for name in ("one", "two"):
        soundfile.write(tmp_path / f"{name}.wav", stereo().T, 16000)
    command = [
        sys.executable,
        "-m",
        "spclap.cli",
        "embed",
        "--model",
        made[1],
        tmp_path / "one.wav",
        tmp_path / "two.wav",
    ]
    command += ["--text", *CAPTIONS, "--out", tmp_path / "out.npz"]
    result = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    stored = np.load(tmp_path / "out.npz")
    cosines = stored["audio"] @ stored["text"].T
    assert stored["captions"].tolist() == CAPTIONS and cosines.shape == (2, 2)
    assert f"| {tmp_path / 'two.wav'} | {cosines[1, 0]:.3f} | {cosines[1, 1]:.3f} |" in result.stdout
    soundfile.write(tmp_path / "two.wav", stereo()[0], 16000)
    (tmp_path / "out.npz").unlink()
    result = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1 and "two.wav: 1 channel(s), expected 2" in result.stderr
    assert np.load(tmp_path / "out.npz")["files"].tolist() == [str(tmp_path / "one.wav")]
