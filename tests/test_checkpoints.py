"""Model directories, inference and the command, on models as small as can be."""

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from programs import ROOT, run
from safetensors.torch import load_file, save_file
from tiny_models import tiny_clap, tiny_roberta

from spclap.engine.made import tokenizer
from spclap.errors import DataError
from spclap.inference import SpatialCLAP
from spclap.model.checkpoints import load_model, read_checkpoint, save_model
from spclap.model.folders import new_folder, write_sums
from spclap.model.spatial_clap import SpatialClap
from spclap.model.text_encoder import HFText

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
        "text_encoder_conf": {"tokenizer": str(tokenizer(corpus)), "dim": 16, "layers": 1},
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
    np.testing.assert_allclose(file[0], array[1], atol=3e-6)
    np.testing.assert_allclose(np.linalg.norm(array, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(model.embed_text(CAPTIONS, batch_size=1), model.embed_text(CAPTIONS), atol=1e-5)


@pytest.mark.parametrize(
    ("audio", "rate", "message"),
    [
        (stereo()[0], 16000, "expected (2, samples)"),
        (stereo().T, 16000, "expected (2, samples)"),
        (stereo(), None, "say its sampling_rate"),
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


def files_of(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_every_file_is_listed_as_sha256sum_has_it(made):
    folder = made[1]
    listed = [line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()]
    assert [*listed, "SHA256SUMS"] == [name for name in files_of(folder) if name != "SHA256SUMS"] + ["SHA256SUMS"]
    checked = subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=folder, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_a_file_that_is_missing_or_changed_is_named(made, tmp_path):
    """Each file in turn: gone, cut, empty, one byte changed."""
    folder = tmp_path / "damaged"
    shutil.copytree(made[1], folder)
    for name in files_of(folder):
        whole = (folder / name).read_bytes()
        middle = len(whole) // 2
        changed = [None, b"", whole[:-1], whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]]
        for content in changed[: 2 if name == "SHA256SUMS" else 4]:
            (folder / name).unlink(missing_ok=True)
            if content is not None:
                (folder / name).write_bytes(content)
            with pytest.raises(DataError, match="config.yaml" if name == "SHA256SUMS" and content == b"" else name):
                load_model(folder)
        (folder / name).write_bytes(whole)
    load_model(folder)
    (folder / "SHA256SUMS").write_text("no hash of anything\n")
    with pytest.raises(DataError, match="SHA256SUMS:1: `no hash of anything` is no hash and name"):
        load_model(folder)


def test_files_that_nobody_listed_are_refused_where_models_are_read(made, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(made[1], folder)
    (folder / "README.md").write_text("mine")
    load_model(folder)
    for name in ("text/added_tokens.json", "captioner.safetensors"):
        (folder / name).write_text("{}")
        with pytest.raises(DataError, match=f"{name} is not in SHA256SUMS; remove it"):
            load_model(folder)
        (folder / name).unlink()
    with pytest.raises(DataError, match="config.yaml: not found"):
        load_model(tmp_path)


def test_sums_of_damaged_files_do_not_help(made, tmp_path):
    """Weights that are cut or not finite, YAML that is none, a tokenizer that knows no word: with sums that fit."""
    folder = tmp_path / "model"
    shutil.copytree(made[1], folder)
    weights = load_file(folder / "model.safetensors")
    save_file({**weights, "logit_scale": torch.tensor(torch.nan)}, folder / "model.safetensors")
    damages = {"model.safetensors": (folder / "model.safetensors").read_bytes(), "config.yaml": b"[1"}
    if (folder / "text/tokenizer.json").exists():
        damages["text/tokenizer.json"] = b"{}"
    for name, content in damages.items():
        shutil.rmtree(folder)
        shutil.copytree(made[1], folder)
        (folder / name).write_bytes(content)
        write_sums(folder)
        with pytest.raises(DataError, match=str(folder)) as error:
            load_model(folder)
        assert "\n" not in str(error.value)


def test_models_that_are_not_finite_are_not_written(made, tmp_path):
    clap, _ = made
    kept = clap.logit_scale.data.clone()
    clap.logit_scale.data.fill_(torch.inf)
    with pytest.raises(DataError, match="`logit_scale` has values that are not finite"):
        save_model(clap, {}, tmp_path / "out")
    clap.logit_scale.data.copy_(kept)
    assert list(tmp_path.iterdir()) == []


def test_files_can_be_read_by_whom_umask_lets(made, tmp_path):
    before = os.umask(0o027)
    try:
        save_model(made[0], {}, tmp_path / "model")
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "model").rglob("*") if path.is_file()}
    assert modes == {0o640} and (tmp_path / "model").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("room", [10, 1000, 20000])
def test_a_full_disk_leaves_nothing_behind(made, tmp_path, room):
    """A limit on the size of files fails like a full disk, in Python and in Rust."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with pytest.raises(DataError, match="out: cannot be written: .*; nothing was left behind"):
            save_model(made[0], {}, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_of_two_exports_into_one_folder_one_is_whole(made, tmp_path):
    """Both have begun before either ends."""
    with new_folder(tmp_path / "model") as first:
        (first / "a").write_text("first")
        with pytest.raises(DataError, match="model: is there already"), new_folder(tmp_path / "model") as second:
            (second / "a").write_text("second")
            first_done = tmp_path / "model"
            first.rename(first_done)
        first_done.rename(first)
    assert (tmp_path / "model" / "a").read_text() == "first" and len(list(tmp_path.iterdir())) == 1


def test_captions_that_are_too_long_are_named_not_cut(made):
    model = SpatialCLAP.from_pretrained(made[1])
    long = "a dog and " * 400
    with pytest.raises(DataError, match=r"caption `a dog and .*\.\.\.` has \d+ tokens, at most \d+ can be read"):
        model.embed_text(["a cat", long + "a cat on the left side", long + "a cat on the right side"])


def test_a_caption_of_the_greatest_length_is_read_to_its_end(made):
    encoder = SpatialCLAP.from_pretrained(made[1]).clap.text_encoder.eval()
    words = ["a"] * encoder.limit
    while len(encoder.encode([" ".join(words)])[0]) > encoder.limit:
        words.pop()
    with torch.no_grad():
        one, other = (encoder(encoder.tokenize([" ".join(caption)])) for caption in (words, words[:-1]))
    assert torch.isfinite(one).all() and not torch.equal(one, other)


@pytest.mark.parametrize("kept", ["config.json", "config.json model.safetensors"])
def test_a_tokenizer_that_is_not_there_is_no_tokenizer(hub, tmp_path, kept):
    """transformers makes one that reads every word as unknown."""
    for name in kept.split():
        shutil.copy(hub / "roberta" / name, tmp_path / name)
    with pytest.raises(DataError, match="tokenizer knows no word of `a dog barks"):
        HFText(str(tmp_path), pretrained="model" in kept)


def test_a_tokenizer_of_another_model_is_refused(hub, tmp_path):
    shutil.copytree(hub / "roberta", tmp_path / "text")
    config = json.loads((tmp_path / "text" / "config.json").read_text())
    (tmp_path / "text" / "config.json").write_text(json.dumps({**config, "vocab_size": 200}))
    with pytest.raises(DataError, match="its tokenizer has a token 2.., the model 200 tokens"):
        HFText(str(tmp_path / "text"), pretrained=False)


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
    command = ["spclap.cli", "embed", "--model", made[1], tmp_path / "one.wav", tmp_path / "two.wav"]
    command += ["--text", *CAPTIONS, "--out", tmp_path / "out.npz"]
    result = run(*command)
    assert result.returncode == 0, result.stderr
    stored = np.load(tmp_path / "out.npz")
    cosines = stored["audio"] @ stored["text"].T
    assert stored["captions"].tolist() == CAPTIONS and cosines.shape == (2, 2)
    assert f"| {tmp_path / 'two.wav'} | {cosines[1, 0]:.3f} | {cosines[1, 1]:.3f} |" in result.stdout
    soundfile.write(tmp_path / "two.wav", stereo()[0], 16000)
    (tmp_path / "out.npz").unlink()
    result = run(*command)
    assert result.returncode == 1 and "two.wav: 1 channel(s), expected 2" in result.stderr
    assert np.load(tmp_path / "out.npz")["files"].tolist() == [str(tmp_path / "one.wav")]
