"""Captioners: training and decoding."""

import json
import os
import shutil
import subprocess
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import programs
import pytest
import soundfile
import torch
from small_training import ROOT, parameters, train
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from spclap.bin.train import listened_to
from spclap.engine.batches import as_they_are, collate
from spclap.engine.made import tokenizer
from spclap.engine.trained import arguments, export, load_training
from spclap.errors import DataError
from spclap.model.captioner import Captioner, HFDecoder, SmallDecoder
from spclap.model.checkpoints import load_captioner
from spclap.model.folders import write_sums
from spclap.scene.caption import scene_caption
from spclap.scene.corpus import Corpus
from spclap.scene.spatialize import render
from spclap.space.directions import DIRECTIONS
from spclap.space.wording import TEMPLATE

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
    small = {"tokenizer": str(tokenizer(corpus)), "dim": 32, "layers": 1}
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


@pytest.mark.parametrize("kind", ["small", "hf"])
def test_a_prefix_begins_with_the_size_of_tokens(kind, corpus, gpt2):
    """Weights and bias each begin with that size."""
    torch.manual_seed(0)
    small = {"tokenizer": str(tokenizer(corpus)), "dim": 64, "layers": 1}
    captioner = Captioner(510, kind, small if kind == "small" else {"name": gpt2}, prefix=4)
    vectors = torch.nn.functional.normalize(torch.randn(64, 510), dim=1)
    tokens = captioner.decoder.model.get_input_embeddings().weight
    assert float(captioner.embeddings(vectors).std() / tokens.std()) == pytest.approx(2**0.5, rel=0.15)


def test_loss_counts_the_tokens_of_captions_alone(corpus):
    """Padding and prefix have no part in it: token by token, each given those before it and the vector."""
    torch.manual_seed(0)
    small = {"tokenizer": str(tokenizer(corpus)), "dim": 16, "layers": 1}
    captioner = Captioner(8, "small", small, prefix=3).eval()
    model, vectors, single = captioner.decoder.model, torch.randn(3, 8), []
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(5)  # as they begin all tokens are about as likely
        for vector, ids in zip(vectors, captioner.decoder.encode(CAPTIONS), strict=True):
            given = torch.cat([captioner.embeddings(vector[None])[0], model.get_input_embeddings()(torch.tensor(ids))])
            for count, token in enumerate(ids):
                logits = model(inputs_embeds=given[None, : 3 + count]).logits[0, -1]
                single.append(-float(logits.log_softmax(dim=0)[token]))
        together = float(captioner(vectors, CAPTIONS))
    assert np.std(single) > 0.5 and together == pytest.approx(np.mean(single), rel=1e-4)


def test_missing_decoders_say_what_to_place_where(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match="give a folder with config.json, weights and tokenizer"):
        HFDecoder("gpt2")
    with pytest.raises(DataError, match="rerun the training"):
        SmallDecoder("/nowhere/tokenizer.model")


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory) -> Path:
    """A model and its captioner, both there under two names."""
    folder = tmp_path_factory.mktemp("captioners")
    assert train(corpus, folder / "scl", "--max_epoch", "1").returncode == 0
    train_captioner(corpus, folder, "scl_captions", ROOT / "conf", CAPTION)
    shutil.copytree(folder / "scl_captions", folder / "single_captions")
    return folder


def train_captioner(corpus, folder: Path, tag: str, base: Path, changes: dict) -> None:
    """Three steps of a captioner of folder/scl."""
    overlay = folder / f"{tag}_conf" / "train"
    overlay.mkdir(parents=True)
    pool = {1: 12, 2: 13, 3: 3}
    small = {**changes, "num_iters_per_epoch": 3, "num_workers": 0, "use_matplotlib": False, "pool": pool}
    (overlay / "caption.yaml").write_text(json.dumps(small))
    layers = ["--run", tag, "--conf", base, "--conf_overlay", overlay.parent]
    places = ["--data", corpus.data, "--dump", corpus.dump, "--exp", folder / tag]
    result = programs.run("spclap.bin.train", *layers, *places, "--", "--max_epoch", "1")
    assert result.returncode == 0, result.stderr[-2000:]


def test_the_full_size_config_trains_decodes_and_travels(trained, corpus, gpt2, tmp_path):
    shutil.copytree(trained / "scl", tmp_path / "scl")
    tiny = {"decoder_conf": {"name": gpt2}, "batch": {1: 2, 2: 2}}
    train_captioner(corpus, tmp_path, "scl_captions", ROOT / "conf" / "paper", tiny)
    model = load_training(tmp_path / "scl_captions", corpus)
    export(tmp_path / "scl_captions", tmp_path / "model")
    shutil.rmtree(tmp_path / "scl")
    vectors = torch.randn(3, model.clap.dim)
    assert load_captioner(tmp_path / "model", model.clap.dim).generate(vectors) == model.captioner.generate(vectors)


def test_the_shipped_config_builds_its_captioner(trained, corpus, tmp_path):
    command = [sys.executable, "-m", "spclap.bin.train", "--run", "scl_captions"]
    command += ["--data", corpus.data, "--dump", corpus.dump, "--exp", tmp_path / "x", "--init", trained / "scl"]
    result = subprocess.run(
        [str(part) for part in [*command, "--", "--dry_run", "true"]], cwd=ROOT, capture_output=True
    )
    assert (
        result.returncode == 0 and b"Number of trainable parameters" in result.stderr and not (tmp_path / "x").exists()
    )


@torch.no_grad()
def test_models_stored_in_half_precision_work_in_float32(corpus, gpt2, tmp_path):
    GPT2LMHeadModel.from_pretrained(gpt2).to(torch.bfloat16).save_pretrained(tmp_path)
    PreTrainedTokenizerFast.from_pretrained(gpt2).save_pretrained(tmp_path)
    for pretrained in (True, False):
        captioner = Captioner(8, "hf", {"name": str(tmp_path), "pretrained": pretrained}, prefix=2).eval()
        assert {value.dtype for value in captioner.state_dict().values()} == {torch.float32}
        assert len(captioner.generate(torch.randn(2, 8))) == 2


def test_validation_counts_all_captions_of_a_clip(trained, corpus):
    """Of these two sources the first captions fit the wrong halves of what is said, the second ones the right ones."""
    model = load_training(trained / "scl_captions", corpus)
    scene = corpus.fixed("valid", 2)[0]
    one, two = scene.sources
    said = scene_caption(scene, (0, 1))
    model.captioner.generate = lambda vectors: [said]
    known = {one.clip: (two.caption, one.caption), two.clip: ("a stone", two.caption)}
    first = {clip: captions[:1] for clip, captions in known.items()}
    batch = collate(as_they_are([scene]), corpus.pack("valid"), corpus.bank("valid"), corpus.samples)
    for captions, right in ((known, 100), (first, 0)):
        own = {source.clip: captions[source.clip] for source in scene.sources}
        sources = (replace(s, caption=own[s.clip][0], captions=own[s.clip]) for s in scene.sources)
        told = replace(batch, items=[(replace(scene, sources=tuple(sources)), (0, 1))])
        assert model.validate([told])["spatial_accuracy_2src"] == right


def test_a_tokenizer_that_was_made_anew_is_noticed(trained, corpus, tmp_path):
    shutil.copytree(corpus.dump, tmp_path / "dump")
    stamp = tmp_path / "dump" / "clips" / "done.json"
    stamp.write_text(json.dumps({**json.loads(stamp.read_text()), "clips": "others"}))
    for name in ("scl", "scl_captions"):
        with pytest.raises(DataError, match="its tokenizer were made anew since; train it again"):
            load_training(trained / name, Corpus(corpus.data, tmp_path / "dump"))


def test_a_captioner_learns_in_the_rooms_of_the_model_it_listens_to(trained, monkeypatch):
    stored = arguments(trained / "scl")
    others = Namespace(**{**vars(stored), "rooms": ["varied"], "pretraining_rooms": ["paper"], "sounds": ["real"]})
    monkeypatch.setattr("spclap.engine.trained.arguments", lambda folder: others)
    listened = listened_to(trained / "scl")
    assert [listened[name] for name in ("rooms", "pretraining_rooms", "sounds")] == [["varied"], ["paper"], ["real"]]


def test_the_model_listened_to_stays_as_it_was(trained):
    before, after = (parameters(trained / name, "valid.score.ave.pth") for name in ("scl", "scl_captions"))
    heard = {name: value for name, value in after.items() if name.startswith("clap.")}
    assert heard.keys() == {name for name in before if name.startswith("clap.")}
    assert all(torch.equal(before[name], value) for name, value in heard.items())
    assert any(name.startswith("captioner.") for name in after)


@pytest.mark.slow
def test_program_writes_table_examples_and_captions(trained, corpus, tmp_path):
    command = [sys.executable, "-m", "spclap.cli", "score", trained, "--benchmark", "captions", "--out", trained]
    command += ["--data", corpus.data, "--dump", corpus.dump]
    command += ["--conf", ROOT / "conf" / "caption.yaml", tmp_path / "over.yaml"]
    (tmp_path / "over.yaml").write_text("{max_tokens: 8, examples: 4}")
    no_java = {**os.environ, "PATH": "/nowhere"}
    result = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True, env=no_java)
    assert result.returncode == 0, result.stderr[-2000:]
    text = (trained / "captions.md").read_text()
    for start in ("| single | 1 |", "| scl | 3 |", "| scl, vectors shuffled | 2 |", "| scl-single | 2 |"):
        assert start in text
    assert "- spatial_accuracy: " in text and "- not computed: java is not on PATH" in text and "; machine: " in text
    assert {line.split(" | ")[-1] for line in text.splitlines() if line.startswith("| scl | ")} == {"2 |"}  # references
    kept = trained / "scl_captions" / "captions" / "captions.jsonl"
    said = dict(json.loads(line) for line in kept.read_text().splitlines())
    shuffled = dict(
        json.loads(line) for line in (trained / "scl_captions/shuffled/captions.jsonl").read_text().splitlines()
    )
    assert len(said) == 3 * 16 and said.keys() == shuffled.keys()
    shown = [line.split(" | ") for line in text.splitlines() if line.startswith("| test-clean-2src-")]
    scenes = {scene.id: scene for scene in corpus.fixed("test", 2)}
    assert len(shown) == 4 == len({cells[0] for cells in shown})
    for name, reference, *_ in shown:
        sources = sorted(scenes[name.removeprefix("| ")].sources, key=lambda source: DIRECTIONS.index(source.direction))
        assert reference == TEMPLATE.caption([s.caption for s in sources], [s.direction for s in sources])
    kept.write_text("".join(json.dumps([scene, "sound 1 in front"]) + "\n" for scene in said))
    again = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True, env=no_java)
    assert again.returncode == 1 and f"{kept}: changed since this stage made it" in again.stderr  # nor decoded again


@pytest.mark.slow
def test_an_exported_captioner_says_the_same_of_a_file(trained, corpus, tmp_path):
    command = [sys.executable, "-m", "spclap.cli"]
    run = dict(cwd=ROOT, capture_output=True, text=True)
    exported = subprocess.run([*command, "export", trained / "scl_captions", tmp_path / "model"], **run)
    assert exported.returncode == 0, exported.stderr
    scene = corpus.fixed("test", 2)[0]
    stereo = render(scene, corpus.pack("test"), corpus.bank("test"), corpus.samples).numpy()
    soundfile.write(tmp_path / "scene.wav", stereo.T, 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "long.wav", np.tile(stereo, 3).T, 16000, subtype="FLOAT")
    model = load_training(trained / "scl_captions", corpus)
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


@pytest.mark.slow
def test_silent_windows_are_said_and_bad_options_refused(trained, corpus, tmp_path):
    export(trained / "scl_captions", tmp_path / "model")
    sound = np.random.default_rng(0).normal(scale=0.1, size=16000)
    sound = np.stack([sound, np.roll(sound, 4)], axis=1)  # from one side
    soundfile.write(tmp_path / "a.wav", np.concatenate([sound, np.zeros((8000, 2)), sound[:4000]]), 16000)
    command = [sys.executable, "-m", "spclap.cli", "caption", "--model", tmp_path / "model", tmp_path / "a.wav"]
    said = subprocess.run([*command, "--window", "0.5"], cwd=ROOT, capture_output=True, text=True)
    lines = [line.removeprefix(f"{tmp_path / 'a.wav'} ") for line in said.stdout.splitlines()]
    assert [line.split(":")[0] for line in lines] == ["0.0-0.5 s", "0.5-1.0 s", "1.0-1.5 s", "1.2-1.8 s"]
    assert [line.endswith("(nothing but noise or silence)") for line in lines] == [False, False, True, False]
    for wrong in (("--window", "0.05"), ("--window", "0"), ("--beams", "0")):
        refused = subprocess.run([*command, *wrong], cwd=ROOT, capture_output=True, text=True)
        assert refused.returncode == 2 and "must be " in refused.stderr
    config = tmp_path / "model" / "config.yaml"
    config.write_text(config.read_text().replace("scene_seconds", "seconds_of_scenes"))
    write_sums(tmp_path / "model")
    older = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert older.returncode == 1 and "has no scene_seconds; export it anew or give" in older.stderr


def test_captions_longer_than_the_decoder_are_refused(corpus):
    """Cut, they would lose their end and the places that are said last."""
    small = {"tokenizer": str(tokenizer(corpus)), "dim": 16, "layers": 1, "positions": 24}
    captioner = Captioner(8, "small", small, prefix=3)
    with pytest.raises(DataError, match=r"caption `sound 1 in front, and .*\.\.\.` has \d+ tokens, at most 21"):
        captioner(torch.randn(1, 8), ["sound 1 in front, and " * 20])
    longest = "sound 1 in front"
    while len(captioner.decoder.encode([f"{longest} 1"])[0]) <= captioner.room:
        longest += " 1"
    assert torch.isfinite(captioner(torch.randn(1, 8), [longest]))
    assert captioner.encode([longest])[0][-1] == captioner.decoder.end


def test_a_captioner_needs_a_trained_model(trained, corpus, tmp_path):
    conf = tmp_path / "caption.yaml"
    conf.write_text(json.dumps(CAPTION))
    command = [sys.executable, "-m", "spclap.bin.train", "--config", conf, "--data", corpus.data]
    command += ["--dump", corpus.dump, "--exp", tmp_path / "x"]
    result = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1 and "needs --init with the folder of a trained model" in result.stderr
