"""Captioners: training, decoding and scores."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from small_training import ROOT, parameters, train
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from spclap.engine.trained import load_training
from spclap.errors import DataError
from spclap.evaluate import captioning
from spclap.evaluate.captioning import TextSimilarity, caption_scores
from spclap.model.captioner import Captioner, HFDecoder, SmallDecoder
from spclap.scene.spatialize import render

CAPTIONS = ["sound 1 on the left side", "sound 2 in front", "kind1 in the front-left, and kind2 in front"]
CAPTION = {
    "task": "caption",
    "batch": {1: 2, 2: 2, 3: 0},
    "decoder_conf": {"dim": 16, "layers": 1, "heads": 2},
    "prefix": 2,
}


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory) -> str:
    """A tiny GPT-2 with a tokenizer of words, as transformers saves them."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder = tmp_path_factory.mktemp("gpt2")
    words = sorted({word for caption in CAPTIONS for word in caption.replace(",", " ,").split()})
    words = {word: index for index, word in enumerate(["<end>", *words])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<end>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>").save_pretrained(folder)
    config = GPT2Config(vocab_size=len(words), n_embd=16, n_layer=1, n_head=2, n_positions=64)
    torch.manual_seed(0)
    GPT2LMHeadModel(config).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("kind", ["small", "hf"])
def test_a_captioner_learns_what_belongs_to_each_vector(kind, corpus, gpt2):
    torch.manual_seed(0)
    small = {"tokenizer": str(corpus.dump / "tokenizer.model"), "dim": 32, "layers": 1}
    captioner = Captioner(8, kind, small if kind == "small" else {"name": gpt2}, prefix=2)
    vectors, captions = torch.randn(2, 8), CAPTIONS[:2]
    optimizer = torch.optim.Adam(captioner.parameters(), 1e-2)
    for _ in range(80):
        optimizer.zero_grad()
        captioner(vectors, captions).backward()
        optimizer.step()
    captioner.eval()
    assert captioner.generate(vectors) == captioner.generate(vectors, beams=3) == captions
    assert captioner.generate(vectors.flip(0)) == captions[::-1]
    assert len(captioner.generate(vectors, max_tokens=2)[0].split()) <= 2
    assert len(captioner.generate(torch.randn(8, 8), max_tokens=1000)) == 8  # more than there are positions


def test_loss_counts_the_tokens_of_captions_alone(corpus):
    """Padding and prefix have no part in it: the loss of a batch is the mean over its tokens one by one."""
    torch.manual_seed(0)
    small = {"tokenizer": str(corpus.dump / "tokenizer.model"), "dim": 16, "layers": 1}
    captioner = Captioner(8, "small", small, prefix=3).eval()
    vectors = torch.randn(3, 8)
    with torch.no_grad():
        single = [float(captioner(vectors[i : i + 1], [caption])) for i, caption in enumerate(CAPTIONS)]
        lengths = [len(ids) for ids in captioner.decoder.encode(CAPTIONS)]
        together = float(captioner(vectors, CAPTIONS))
    assert len(set(lengths)) > 1 and together == pytest.approx(np.average(single, weights=lengths), rel=1e-4)


def test_missing_decoders_say_what_to_place_where(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match="give a folder with config.json, weights and tokenizer"):
        HFDecoder("gpt2")
    with pytest.raises(DataError, match="run stage 2"):
        SmallDecoder("/nowhere/tokenizer.model")


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory) -> Path:
    """A model and its captioner, both there under two names."""
    folder = tmp_path_factory.mktemp("captioners")
    assert train(corpus, folder / "scl", "--max_epoch", "1").returncode == 0
    conf = folder / "caption.yaml"
    conf.write_text(json.dumps({**CAPTION, "num_iters_per_epoch": 3, "use_matplotlib": False}))
    command = [sys.executable, "-m", "spclap.bin.train", "--config", ROOT / "conf" / "train_caption.yaml", conf]
    command += [
        "--data",
        corpus.data,
        "--dump",
        corpus.dump,
        "--exp",
        folder / "scl_captions",
        "--init",
        folder / "scl",
    ]
    command = [str(part) for part in [*command, "--", "--max_epoch", "1"]]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    shutil.copytree(folder / "scl_captions", folder / "single_captions")
    return folder


def test_the_model_listened_to_stays_as_it_was(trained):
    before, after = (parameters(trained / name, "valid.score.ave.pth") for name in ("scl", "scl_captions"))
    heard = {name: value for name, value in after.items() if name.startswith("clap.")}
    assert heard.keys() == {name for name in before if name.startswith("clap.")}
    assert all(torch.equal(before[name], value) for name, value in heard.items())
    assert any(name.startswith("captioner.") for name in after)


def test_program_writes_table_examples_and_captions(trained, corpus, tmp_path):
    command = [sys.executable, "-m", "spclap.bin.caption", "--data", corpus.data, "--dump", corpus.dump]
    command += ["--exp", trained, "--conf", ROOT / "conf" / "caption.yaml", tmp_path / "over.yaml"]
    (tmp_path / "over.yaml").write_text("{bootstrap: 50, max_tokens: 8, examples: 4}")
    no_java = {**os.environ, "PATH": "/nowhere"}
    result = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True, env=no_java)
    assert result.returncode == 0, result.stderr[-2000:]
    text = (trained / "captions.md").read_text()
    for start in ("| single | 1 |", "| scl | 3 |", "| scl, vectors shuffled | 2 |", "| scl-single | 2 |"):
        assert start in text
    assert "References per scene: 2-2" in text and "- spatial_accuracy: " in text
    records = [json.loads(line) for line in (trained / "scl_captions" / "captions.jsonl").read_text().splitlines()]
    assert len(records) == 3 * 16 and records[0]["references"][0].startswith("sound ")
    assert text.count(records[-1]["references"][0]) == 0  # examples have two sources


def test_an_exported_captioner_says_the_same_of_a_file(trained, corpus, tmp_path):
    command = [sys.executable, "-m", "spclap.cli"]
    run = dict(cwd=ROOT, capture_output=True, text=True)
    exported = subprocess.run([*command, "export", trained / "scl_captions", tmp_path / "model"], **run)
    assert exported.returncode == 0, exported.stderr
    scene = corpus.fixed("test", 2)[0]
    stereo = render(scene, corpus.pack("test"), corpus.bank("test"), corpus.samples).numpy()
    soundfile.write(tmp_path / "scene.wav", stereo.T, 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "long.wav", np.tile(stereo, 3).T, 16000, subtype="FLOAT")
    model, _ = load_training(trained / "scl_captions", corpus)
    (expected,) = model.captioner.generate(model.clap.embed_audio(torch.from_numpy(stereo)[None]))
    files = [tmp_path / "scene.wav", tmp_path / "long.wav"]
    said = subprocess.run([*command, "caption", "--model", tmp_path / "model", "--window", "1", *files], **run)
    assert said.returncode == 0, said.stderr
    lines = said.stdout.splitlines()
    assert lines[0] == f"{files[0]}: {expected}".rstrip() and lines[1] == f"{files[1]} 0.0-1.0 s: {expected}".rstrip()
    assert len(lines) == 4
    subprocess.run([*command, "export", trained / "scl", tmp_path / "deaf"], check=True, **run)
    mute = subprocess.run([*command, "caption", "--model", tmp_path / "deaf", files[0]], **run)
    assert mute.returncode == 1 and "the model has no captioner" in mute.stderr


def test_a_captioner_needs_a_trained_model(trained, corpus, tmp_path):
    conf = tmp_path / "caption.yaml"
    conf.write_text(json.dumps(CAPTION))
    command = [sys.executable, "-m", "spclap.bin.train", "--config", conf, "--data", corpus.data]
    command += ["--dump", corpus.dump, "--exp", tmp_path / "x"]
    result = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1 and "needs --init with the folder of a trained model" in result.stderr


SOURCES = [[("a dog", "left")], [("rain", "front"), ("a bell", "right")]]
TRUTH = [["a dog on the left side", "an animal on the left side"], ["rain in front, and a bell on the right side"]]


def test_scores_of_right_and_wrong_captions():
    right = caption_scores(SOURCES, TRUTH, [texts[0] for texts in TRUTH], TextSimilarity())
    for name in ("sbert", "dw_sbert", "spatial_accuracy"):
        np.testing.assert_allclose(right[name], 1, atol=1e-5)
    swapped = ["a dog in front", "rain on the right side, and a bell in front"]
    wrong = caption_scores(SOURCES, TRUTH, swapped, TextSimilarity())
    assert wrong["spatial_accuracy"].tolist() == [0, 0] and wrong["dw_sbert"][0] == 0 and wrong["sbert"].min() > 0.6
    second = caption_scores(SOURCES[:1], TRUTH[:1], ["an animal on the left side"], TextSimilarity())
    assert second["sbert"][0] == pytest.approx(1, abs=1e-5)  # the best of the references counts


@pytest.mark.skipif(captioning.coco_missing() != "", reason=captioning.coco_missing())
def test_scores_of_pycocoevalcap():
    values = captioning.coco_scores(TRUTH, [TRUTH[0][1], "a car"])
    assert values["rouge_l"][0] == pytest.approx(1) and values["rouge_l"][1] < 0.4
    assert values["meteor"][0] > 0.9 > values["meteor"][1] and values["cider"][0] > values["cider"][1]
    assert len(set(values["bleu4"])) == 1


def test_missing_java_is_noted_and_the_other_scores_stay(monkeypatch, caplog):
    monkeypatch.setenv("PATH", "/nowhere")
    values = caption_scores(SOURCES, TRUTH, [texts[0] for texts in TRUTH], TextSimilarity())
    assert "Java" in caplog.text and set(values) == {"sbert", "dw_sbert", "spatial_accuracy"}
