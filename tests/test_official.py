"""Published checkpoints, with the names and shapes of the authors' code, against references written here."""

import re

import pytest
import torch
from programs import run
from test_frozen import made
from tiny_models import AUDIO, TEXT, randomise, tiny_clap, tiny_roberta
from torch import nn
from torch.nn import functional as F
from transformers import ClapAudioModelWithProjection, ClapConfig, ClapModel, RobertaConfig, RobertaModel

from spclap.errors import DataError
from spclap.evaluate.controls import CONTROLS
from spclap.evaluate.record import read_record
from spclap.inference import SpatialCLAP
from spclap.model.htsat import Htsat, LogMel
from spclap.model.official import convert_laion, import_official

WIDTH, TEXT_WIDTH, DIM = AUDIO["hidden_size"], TEXT["hidden_size"], 24


def laion_names(tower: nn.Module) -> dict[str, torch.Tensor]:
    """An HTSAT of transformers under the names that LAION's code gives its weights, with all that it stores besides."""
    state, out = tower.audio_encoder.state_dict(), {}
    for name, value in state.items():
        if ".attention.self.query." in name:
            parts = [state[name.replace("query", part)] for part in ("query", "key", "value")]
            out[name.replace("attention.self.query", "attn.qkv")] = torch.cat(parts)
        elif ".attention.self.key." in name or ".attention.self.value." in name:
            continue
        else:
            name = name.replace("attention.self", "attn").replace("attention.output.dense", "attn.proj")
            name = name.replace("layernorm_before", "norm1").replace("layernorm_after", "norm2")
            name = name.replace("intermediate.dense", "mlp.fc1").replace("output.dense", "mlp.fc2")
            out[re.sub("^batch_norm", "bn0", name)] = value
    out["layers.0.blocks.1.attn_mask"] = torch.zeros(64, 64, 64)
    out["spectrogram_extractor.stft.conv_real.weight"] = torch.zeros(513, 1, 1024)
    out["spectrogram_extractor.stft.conv_imag.weight"] = torch.zeros(513, 1, 1024)
    out["logmel_extractor.melW"] = LogMel().filters
    out["tscam_conv.weight"], out["tscam_conv.bias"] = torch.zeros(527, WIDTH, 2, 3), torch.zeros(527)
    out["head.weight"], out["head.bias"] = torch.zeros(527, 527), torch.zeros(527)
    return out


class PaperSpace(nn.Module):
    """The paper's CA-SE, written from its description (PAPER, "The system"), smaller."""

    def __init__(self, channels: int = 6, hidden: int = 10):
        super().__init__()
        blocks = []
        for inputs in (4, channels, channels):
            blocks += [
                nn.Conv2d(inputs, channels, 3, padding=1),
                nn.ReLU(),
                nn.BatchNorm2d(channels),
                nn.MaxPool2d((1, 2)),
            ]
        self.cnn_block = nn.Sequential(*blocks)
        self.middle_linear = nn.Linear(channels * 64, hidden)
        self.gru = nn.GRU(hidden, hidden, num_layers=2, batch_first=True, bidirectional=True)

    def forward(self, stereo: torch.Tensor) -> torch.Tensor:
        spectra = [
            torch.stft(x, 1024, 512, window=torch.hann_window(1024), return_complex=True) for x in stereo.unbind(1)
        ]
        maps = [s.abs() for s in spectra] + [torch.atan2(s.imag, s.real) for s in spectra]
        hidden = self.cnn_block(torch.stack([m.transpose(1, 2) for m in maps], dim=1))  # (N, channels, frames, 64)
        frames = torch.stack([hidden[:, :, t].reshape(len(hidden), -1) for t in range(hidden.shape[2])], dim=1)
        return self.gru(self.middle_linear(frames))[0].mean(dim=1)


def head(inputs: int, dim: int) -> nn.Module:
    return randomise(nn.Sequential(nn.Linear(inputs, dim), nn.ReLU(), nn.Linear(dim, dim)), 3)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("published")
    return {
        "folder": folder, "clap": tiny_clap(folder / "clap"), "text": randomise(tiny_roberta(folder / "roberta"), 1),
        "space": randomise(PaperSpace(), 2), "audio_projection": head(WIDTH + 20, DIM),
        "text_projection": head(TEXT_WIDTH, DIM),
    }  # fmt: skip


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> dict:
    """The sizes in PAPER.md: HTSAT-base 1024, CA-SE 4096 -> 128 -> 256, RoBERTa-base 768, projections to 512."""
    folder = tmp_path_factory.mktemp("full")
    tiny_roberta(folder / "roberta")  # for its tokenizer
    torch.manual_seed(0)
    text = RobertaModel(RobertaConfig(vocab_size=TEXT["vocab_size"], type_vocab_size=1, max_position_embeddings=514))
    text.save_pretrained(folder / "roberta")
    audio = {"patch_embeds_hidden_size": 128, "depths": [2, 2, 12, 2], "num_attention_heads": [4, 8, 16, 32]}
    clap = ClapModel(ClapConfig(audio_config={**audio, "hidden_size": 1024}, text_config=TEXT)).eval()
    clap.save_pretrained(folder / "clap")
    return {
        "folder": folder, "clap": clap, "text": text.eval(), "space": PaperSpace(64, 128).eval(),
        "audio_projection": head(1280, 512), "text_projection": head(768, 512),
    }  # fmt: skip


@pytest.fixture
def parts(request) -> dict:
    return request.getfixturevalue(getattr(request, "param", "tiny"))


@pytest.fixture
def published(parts) -> dict[str, torch.Tensor]:
    """model_state_dict of the paper's checkpoint, by the names in PAPER.md."""
    weights = {f"audio_encoder.mel_encoder.{k}": v for k, v in laion_names(parts["clap"].audio_model).items()}
    weights["audio_encoder.spatial_encoder.feature_extractor.window"] = torch.hann_window(1024)
    weights.update({f"audio_encoder.spatial_encoder.encoder.{k}": v for k, v in parts["space"].state_dict().items()})
    for name in ("audio_projection", "text_projection"):
        weights.update({f"{name}.{k}": v for k, v in parts[name].state_dict().items()})
    weights.update({f"text_encoder.{k}": v for k, v in parts["text"].state_dict().items()})
    return {**weights, "logit_scale": torch.tensor(3.2)}


def imported(parts, published, tmp_path, **extra) -> SpatialCLAP:
    torch.save({"epoch": 49, "model_state_dict": {**published, **extra}}, tmp_path / "epoch_49.pt")
    import_official(tmp_path / "epoch_49.pt", tmp_path / "out", text=str(parts["folder"] / "roberta"))
    return SpatialCLAP.from_pretrained(tmp_path / "out")


@pytest.mark.parametrize("parts", ["tiny", pytest.param("full", marks=pytest.mark.slow)], indirect=True)
def test_vectors_equal_the_reference(parts, published, tmp_path):
    model = imported(parts, published, tmp_path)
    stereo = 0.03 * torch.randn(2, 2, 48000, generator=torch.Generator().manual_seed(5))
    mono48 = Htsat(str(parts["folder"] / "clap")).resample(stereo.mean(dim=1))
    log_mel = LogMel()(F.pad(mono48.repeat(1, 3), (0, 480000 - 3 * mono48.shape[1])))
    captions = ["a dog on the left side", "a cat"]
    with torch.no_grad():
        content = parts["clap"].audio_model(input_features=log_mel).pooler_output
        audio = parts["audio_projection"](torch.cat([content, parts["space"](stereo)], dim=1))
        tokens = model.clap.text_encoder.tokenizer(captions, padding=True, return_tensors="pt")
        text = parts["text_projection"](parts["text"](**tokens).pooler_output)
    with torch.no_grad():
        ours = model.clap.embed_audio(stereo)
    torch.testing.assert_close(ours, F.normalize(audio, dim=1), atol=1e-5, rtol=0)
    ours = torch.from_numpy(model.embed_text(captions))
    torch.testing.assert_close(ours, F.normalize(text, dim=1), atol=1e-5, rtol=0)
    assert model.clap.logit_scale == 3.2
    assert (ours[0] - ours[1]).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("audio_projection.2.bias"), "missing fusion.projection.2.bias"),
        (lambda w: w.update({"extra.weight": torch.ones(1)}), "left over extra.weight"),
        (lambda w: w.update({"audio_projection.0.bias": torch.ones(3)}), r"bias is \(3,\), expected \(24,\)"),
        (lambda w: w.pop("audio_encoder.mel_encoder.bn0.running_var"), "missing .*batch_norm.running_var"),
        (lambda w: w.pop("audio_encoder.mel_encoder.layers.1.downsample.norm.bias"), "missing .*downsample.norm.bias"),
        (lambda w: w.pop("audio_encoder.spatial_encoder.feature_extractor.window"), "window.* is missing"),
        (lambda w: w.update({"audio_encoder.mel_encoder.logmel_extractor.melW": torch.ones(513, 64)}), "mel filters"),
        (lambda w: w.update({"audio_encoder.mel_encoder.patch_embed.mel_conv2d.bias": torch.ones(1)}), "unfused CLAP"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_are_named(parts, published, tmp_path, change, message):
    change(published)
    with pytest.raises(DataError, match=message):
        imported(parts, published, tmp_path)
    assert not (tmp_path / "out").exists()


OTHER = {
    "a list": [1, 2],
    "a tensor": torch.ones(3),
    "empty": {"state_dict": {}, "model_state_dict": {}},
    "no weights": {"state_dict": [1], "model_state_dict": "weights"},
    "text": {"state_dict": {"a": "b"}, "model_state_dict": {"a": "b"}},
    "numbers as names": {"state_dict": {1: torch.ones(2)}, "model_state_dict": {1: torch.ones(2)}},
    "sparse": {"state_dict": {"a": torch.eye(2).to_sparse()}, "model_state_dict": {"a": torch.eye(2).to_sparse()}},
    "not finite": {"state_dict": {"a": torch.ones(2) / 0}, "model_state_dict": {"a": torch.ones(2) / 0}},
    "another model": {"state_dict": {"a": torch.ones(2)}, "model_state_dict": {"a": torch.ones(2)}},
}


@pytest.mark.parametrize("name", OTHER)
def test_other_files_are_refused_in_one_line(tmp_path, name):
    torch.save(OTHER[name], tmp_path / "other.pt")
    for convert in (import_official, convert_laion):
        with pytest.raises(DataError, match="other.pt: ") as error:
            convert(tmp_path / "other.pt", tmp_path / "out")
        assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["other.pt"]


def test_files_that_are_no_checkpoints_are_refused(tmp_path):
    torch.save({"state_dict": {"a": torch.ones(1000)}}, tmp_path / "whole.pt")
    whole = (tmp_path / "whole.pt").read_bytes()
    for content in (b"", b"no checkpoint", b"\x80\x02", b"\x80\x02}q", b"PK\x03\x04", whole[:300], whole[:-300]):
        (tmp_path / "bad.pt").write_bytes(content)
        with pytest.raises(DataError, match="bad.pt: cannot be read as a checkpoint"):
            convert_laion(tmp_path / "bad.pt", tmp_path / "out")
    for missing in ("nothing.pt", "."):
        with pytest.raises(DataError, match="cannot be read as a checkpoint"):
            convert_laion(tmp_path / missing, tmp_path / "out")


@pytest.mark.parametrize("shape", [(), (0,), (1, 1)], ids=str)
@pytest.mark.parametrize(
    "name",
    [
        "spatial_encoder.feature_extractor.window", "spatial_encoder.encoder.cnn_block.0.weight",
        "spatial_encoder.encoder.middle_linear.weight", "mel_encoder.patch_embed.proj.weight",
        "mel_encoder.layers.1.blocks.0.attn.relative_position_bias_table",
        "mel_encoder.layers.0.blocks.1.attn.qkv.weight", "mel_encoder.logmel_extractor.melW",
    ],
)  # fmt: skip
def test_weights_of_impossible_shapes_are_refused(parts, published, tmp_path, name, shape):
    with pytest.raises(DataError) as error:
        imported(parts, published, tmp_path, **{f"audio_encoder.{name}": torch.zeros(shape)})
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()


def test_bfloat16_is_read(parts, published, tmp_path):
    half = {
        name: value.bfloat16() if value.ndim > 1 and "melW" not in name else value for name, value in published.items()
    }
    model = imported(parts, half, tmp_path)
    name = "audio_encoder.mel_encoder.patch_embed.proj.weight"
    ours = model.clap.state_dict()["content_encoder.tower.audio_encoder.patch_embed.proj.weight"]
    assert ours.dtype == torch.float32 and torch.equal(ours, half[name].float())


def test_it_is_scored_by_the_program_that_prints_the_papers_table(parts, published, corpus, tmp_path):
    imported(parts, published, tmp_path)
    assert made(corpus, tmp_path / "set", "--sources", 1, 2, "--count", 4, "--seconds", 1).returncode == 0
    given = [tmp_path / "out", "--out", tmp_path / "scores"]
    result = run("spclap.cli", "score", *given, "--scenes", tmp_path / "set")
    assert result.returncode == 0, result.stderr[-2000:]
    (own,) = read_record(tmp_path / "scores")["models"].values()
    assert own["figures"]["direction_2src"]["n"] == 4 and set(own["controls"]) == set(CONTROLS)
    corpus_given = ["--data", corpus.data, "--dump", corpus.dump]
    result = run("spclap.cli", "score", *given, "--benchmark", "table1", *corpus_given)
    assert result.returncode == 0, result.stderr[-2000:]
    rows = [line.split(" | ") for line in result.stdout.splitlines() if line.startswith("| (none) | out | 1 |")]
    assert len(rows) == 1 and all("[" in cell for cell in rows[0][3:]) and "81.69" in result.stdout


def test_it_is_said_that_the_real_file_was_never_tried(parts, published, tmp_path, caplog):
    imported(parts, published, tmp_path)
    assert "never tried on the file that the authors released" in caplog.text


def test_laion_checkpoint_becomes_a_content_encoder(parts, tmp_path):
    clap = parts["clap"]
    state = {f"module.audio_branch.{k}": v for k, v in laion_names(clap.audio_model).items()}
    for old, new in (("0", "linear1"), ("2", "linear2")):
        layer = getattr(clap.audio_projection, new)
        state.update({f"module.audio_projection.{old}.{k}": v for k, v in layer.state_dict().items()})
    state["module.text_branch.embeddings.word_embeddings.weight"] = torch.ones(2, 2)
    torch.save({"epoch": 15, "state_dict": state}, tmp_path / "laion.pt")
    convert_laion(tmp_path / "laion.pt", tmp_path / "htsat")
    mono = 0.1 * torch.randn(1, 32000, generator=torch.Generator().manual_seed(6))
    ours, theirs = Htsat(str(tmp_path / "htsat")).eval(), Htsat(str(parts["folder"] / "clap")).eval()
    with torch.no_grad():
        torch.testing.assert_close(ours(mono), theirs(mono))
        loaded = ClapAudioModelWithProjection.from_pretrained(tmp_path / "htsat").audio_projection
        torch.testing.assert_close(loaded(theirs(mono)), clap.audio_projection(theirs(mono)))
