"""Training through ESPnet2: each trap of the engine has its test here."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import programs
import pytest
import torch
from small_training import CLAP_ONLY, ROOT, SMALL, parameters, train

from spclap.data.datadir import load_datadir
from spclap.data.pack import ClipPack
from spclap.engine.batches import FixedScenes, FreshScenes, SceneIterFactory, Sealed
from spclap.engine.clap import ClapTask, learned_arrays
from spclap.engine.made import normalise_inputs, tokenizer
from spclap.engine.masks import MaskTask
from spclap.engine.seld import SeldTask
from spclap.errors import DataError
from spclap.evaluate.embedder import OfClap
from spclap.evaluate.protocols import Embeddings, assignment, retrieval
from spclap.model.features import StereoMaps
from spclap.model.loss import symmetric_info_nce
from spclap.recipe import MODEL
from spclap.recipe.compose import Recipe
from spclap.scene.bank import RirBank
from spclap.scene.corpus import Corpus
from spclap.scene.meaning import fits
from spclap.scene.spatialize import render, spatialize
from spclap.space.directions import PHRASES


def test_negatives_change_every_epoch_and_depend_on_seed_epoch_and_index_alone(corpus):
    def ids(epoch, seed=0, rank=0, world=1):
        data = FreshScenes(corpus, {1: 2, 2: 2}, 6, 2, seed, rank, world)
        return [tuple(b["sealed"].batch.captions) for _, b in SceneIterFactory(data).build_iter(epoch)]

    assert ids(1) == ids(1)
    assert len({str(ids(1)), str(ids(2)), str(ids(1, seed=1))}) == 3
    shares = [ids(1, rank=r, world=2) for r in (0, 1)]
    assert sorted(shares[0][0] + shares[1][0]) == sorted(ids(1)[0])


def test_augmentation_of_a_config_reaches_the_training_scenes(corpus):
    def channels(**augment):
        conf = {**SMALL, "augment": augment, "data": str(corpus.data), "dump": str(corpus.dump), "seed": 0}
        args = argparse.Namespace(**{**vars(ClapTask.get_parser().parse_args([])), **conf})
        options = argparse.Namespace(dist_rank=None, dist_world_size=None)
        (_, fields), *_ = ClapTask.build_task_iter_factory(args, options, "train").build_iter(1)
        return spatialize(*fields["sealed"].batch.sound)

    torch.testing.assert_close(channels(mirror=1.0), channels().flip(1))
    assert not torch.allclose(channels(eq_db=6.0), channels(), atol=1e-3)


def test_a_scene_and_its_permutations_share_a_rank(corpus):
    for rank in (0, 1):
        for names, fields in SceneIterFactory(FreshScenes(corpus, {1: 2, 2: 4}, 6, 2, 0, rank, 2)).build_iter(1):
            batch = fields["sealed"].batch
            assert len(batch.captions) == 1 + 2 * 2
            twice = [name for name in set(names) if names.count(name) == 2]
            assert len(twice) == 2
            for name in twice:
                first, second = (i for i, other in enumerate(names) if other == name)
                assert not fits(batch.said, batch.true)[[first, second], [second, first]].any()
                assert {tuple(p) for p in batch.sound[2][first].tolist()} != {
                    tuple(p) for p in batch.sound[2][second].tolist()
                }


def test_training_hears_clips_and_rooms_of_the_training_split_alone(corpus):
    clips = {clip.id: clip for clip in load_datadir(corpus.data / "train")}
    rooms = {rir.tobytes() for rir in np.load(corpus.data / "rirs" / "train" / "rirs.npy")}
    sounds = ClipPack(corpus.dump / "clips" / "train")
    data = FreshScenes(corpus, {1: 2, 2: 4}, 6, 3, 0)
    for epoch in (1, 2):
        for _, fields in SceneIterFactory(data).build_iter(epoch):
            batch = fields["sealed"].batch
            assert {clip for item in batch.clips for clip in item} <= clips.keys()
            said = {caption for item in batch.clauses for caption, _ in item}
            assert said <= {caption for clip in clips.values() for caption in clip.captions}
            assert {rir.tobytes() for rir in batch.sound[1].numpy()} <= rooms
    scene = data.sampler.draw(np.random.default_rng(0), 2, "x")
    torch.testing.assert_close(
        render(scene, data.pack, data.bank, corpus.samples),
        render(scene, sounds, RirBank(corpus.data / "rirs" / "train"), corpus.samples),
    )
    assert set(data.pack.ids) == set(sounds.ids) == clips.keys()


def test_training_scenes_can_have_a_length_of_their_own(corpus):
    for seconds in ((), (0.5, 0.5)):
        batch = FreshScenes(corpus, {2: 2}, 1, 1, 0, seconds=seconds)[0]
        assert batch.sound[0].shape[-1] == (8000 if seconds else corpus.samples)


def test_drawn_lengths_fill_their_range_and_are_those_of_all_ranks(corpus):
    first, second = (FreshScenes(corpus, {2: 2}, 1, 40, 0, rank, 2, seconds=(0.5, 2.0)) for rank in (0, 1))
    drawn = [first.samples(0, step) / 16000 for step in range(40)]
    assert set(drawn) == set(np.arange(0.5, 2.1, 0.25)) and len(set(drawn[:8])) > 3
    for step in (0, 1, 2):
        assert {s[step].sound[0].shape[-1] for s in (first, second)} == {round(16000 * drawn[step])}
    assert [FreshScenes(corpus, {2: 2}, 1, 40, 1, seconds=(0.5, 2.0)).samples(0, step) for step in range(40)] != drawn


def test_a_model_trains_in_the_rooms_of_its_settings(corpus):
    """Its task hands them on, and a pre-training may have others."""
    for task, options, heard in (
        (ClapTask, [], {"paper"}),
        (ClapTask, ["--rooms", "paper", "varied"], {"paper", "varied"}),
        (ClapTask, ["--rooms", "paper", "--pretraining_rooms", "varied"], {"paper"}),
        (MaskTask, ["--rooms", "varied"], {"varied"}),
        (MaskTask, ["--rooms", "paper", "--pretraining_rooms", "varied"], {"varied"}),
    ):
        args = task.get_parser().parse_args(options)
        args = argparse.Namespace(
            **{**vars(args), "data": str(corpus.data), "dump": str(corpus.dump), "batch": {1: 16}}
        )
        scenes = task.build_task_iter_factory(args, argparse.Namespace(dist_rank=0, dist_world_size=1), "train")
        settings = {room.split("-")[1] for room in (scene.room for scene in scenes.dataset[0].scenes)}
        assert settings == heard
    with pytest.raises(DataError, match="no rooms of setting outdoors"):
        corpus.sampler("train", ["outdoors"])
    recipe = Recipe(ROOT / "conf")
    for model, pretraining in (("default", ["paper", "varied"]), ("concat", []), ("one_array", [])):
        for run in (recipe.pretraining(model), recipe.training(model, "scl")):
            values = recipe.config(*run.names).values
            assert (values["rooms"], values["pretraining_rooms"]) == (["paper"], pretraining)


def test_a_model_has_heard_through_the_arrays_of_its_pretraining_too(corpus):
    arrays = corpus.simu.arrays
    assert arrays(["paper"]) != arrays(["varied"])
    for pretraining, learned in (([], arrays(["paper"])), (["paper", "varied"], arrays(["paper", "varied"]))):
        where = {"data": corpus.data, "dump": corpus.dump, "rooms": ["paper"], "pretraining_rooms": pretraining}
        assert learned_arrays(argparse.Namespace(**where)) == learned


@pytest.mark.parametrize("split", ["valid", "test"])
def test_what_is_measured_for_a_split_is_of_that_split(corpus, split):
    clips = {clip.id for clip in load_datadir(corpus.data / split)}
    rooms = {rir.tobytes() for rir in np.load(corpus.data / "rirs" / split / "rirs.npy")}
    for batch in FixedScenes(corpus, split, [1, 2], 3):
        assert {clip for item in batch.clips for clip in item} <= clips
        assert {rir.tobytes() for rir in batch.sound[1].numpy()} <= rooms


def test_what_is_made_for_parts_is_made_of_the_training_split_alone(corpus, tmp_path):
    """Statistics of the inputs and the tokenizer's text."""
    asked = []

    class Watched(Corpus):
        pass

    for name in ("sampler", "pack", "bank"):
        setattr(Watched, name, lambda self, split, name=name: (asked.append(split), getattr(corpus, name)(split))[1])
    dump = tmp_path / "dump"
    shutil.copytree(corpus.dump, dump, ignore=shutil.ignore_patterns("tokenizer", "statistics"))
    watched = Watched(corpus.data, dump)
    normalise_inputs(StereoMaps(n_fft=512, hop=256, bins=64), watched)
    assert tokenizer(watched).is_file()
    assert set(asked) == {"train"} and len(asked) >= 4


@pytest.mark.slow
def test_resume_after_kill_reaches_the_same_parameters(corpus, tmp_path):
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    assert train(corpus, straight, "--max_epoch", "4").returncode == 0
    conf = tmp_path / "killed.yaml"
    conf.write_text((tmp_path / "straight.yaml").read_text())
    command = [sys.executable, "-m", "spclap.bin.train", "--config", str(conf), "--data", str(corpus.data)]
    command += ["--dump", str(corpus.dump), "--exp", str(killed), "--", "--max_epoch", "4"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.time() + 120
    while not (killed / "checkpoint.pth").exists() and time.time() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (killed / "valid.score.ave.pth").exists()
    (killed / "1epoch.pth").unlink(missing_ok=True)  # as if the kill came before this file was written
    assert train(corpus, killed, "--max_epoch", "4").returncode == 0
    one, other = parameters(straight), parameters(killed)
    assert all(torch.equal(one[k], other[k]) for k in one)
    assert not list(killed.glob(".tmp*"))


def test_average_of_the_best_epochs_is_exact(corpus, tmp_path, monkeypatch):
    exp = tmp_path / "model"
    monkeypatch.setattr("spclap.engine.trained.remove_checkpoints", lambda folder: None)
    assert train(corpus, exp, "--max_epoch", "3", "--keep_nbest_models", "2").returncode == 0
    from spclap.engine.trained import history

    scores = {entry["epoch"]: entry["valid_score"] for entry in history(exp)}
    best = sorted(scores, key=lambda epoch: (-scores[epoch], epoch))[:2]
    states = [parameters(exp, f"{epoch}epoch.pth") for epoch in best]
    average = parameters(exp, "valid.score.ave.pth")
    for key, value in average.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, (states[0][key] + states[1][key]) / 2)


def test_finished_training_is_not_repeated_and_old_settings_are_kept(corpus, tmp_path):
    exp = tmp_path / "model"
    assert train(corpus, exp, "--max_epoch", "1").returncode == 0
    assert [path.name for path in exp.glob("*.pth")] == [MODEL] and not (exp / MODEL).is_symlink()
    before = (exp / MODEL).stat().st_mtime_ns
    again = train(corpus, exp, "--max_epoch", "1")
    assert again.returncode == 0 and "up to date" in again.stderr
    assert (exp / MODEL).stat().st_mtime_ns == before
    other = train(corpus, exp, "--max_epoch", "1", config={"optim_conf": {"lr": 2.0e-3}})
    assert other.returncode == 0 and "other settings" in other.stderr
    assert (tmp_path / "model.old1" / MODEL).stat().st_mtime_ns == before


def build(corpus: Corpus, task: type, conf: dict):
    defaults = task.get_parser().parse_args([])
    args = {**vars(defaults), **conf, "data": str(corpus.data), "dump": str(corpus.dump), "bfloat16": False}
    torch.manual_seed(0)
    return task.build_model(argparse.Namespace(**args)).eval()


@torch.no_grad()
def test_validation_figures_are_those_of_the_whole_set(corpus):
    model = build(corpus, ClapTask, SMALL)
    stats, expected = model.validate(FixedScenes(corpus, "valid", [1, 2], 3)), []
    for size in (1, 2):
        scenes = corpus.fixed("valid", size)
        found = Embeddings(OfClap(model.clap))
        mixtures = torch.stack([render(s, corpus.pack("valid"), corpus.bank("valid"), corpus.samples) for s in scenes])
        found.add(scenes, model.clap.embed_audio(mixtures).numpy())
        a2t, t2a = retrieval(found)
        expected.append(50 * ((a2t == 0).mean() + (t2a == 0).mean()))
        assert stats[f"r1_{size}src"] == pytest.approx(expected[-1])
    expected.append(100 * assignment(found).mean())
    assert stats["assignment_2src"] == pytest.approx(expected[-1])
    assert stats["score"] == pytest.approx(np.mean(expected))


@torch.no_grad()
def test_size_of_validation_batches_does_not_change_the_event_loss(corpus):
    model = build(corpus, SeldTask, {k: v for k, v in SMALL.items() if k not in CLAP_ONLY})
    parts, whole = (model.validate(FixedScenes(corpus, "valid", [1, 2], size)) for size in (3, 8))
    assert parts["event"] == pytest.approx(whole["event"], rel=1e-4)
    assert whole["score"] == pytest.approx(-whole["event"] - whole["direction"])


@torch.no_grad()
def test_clause_targets_are_the_sources_captions_in_the_blocks_of_their_directions(corpus):
    model = build(corpus, ClapTask, {**SMALL, "clause_weight": 0.5, "dim": 15, "text_head": "queries"})
    batch = FreshScenes(corpus, {1: 2, 2: 2}, 6, 1, 0)[0]
    clap, expected = model.clap, torch.zeros(6, 5, 3)
    for row, caption in enumerate(batch.captions):
        for part in caption.split(", and "):
            words, place = next(
                (part.removesuffix(f" {p}"), i) for i, p in enumerate(PHRASES.values()) if part.endswith(p)
            )
            expected[row, place] += model.clauses.projection(clap.text_encoder(clap.text_encoder.tokenize([words])))[0]
    found = model.targets(batch.told)
    torch.testing.assert_close(found.unflatten(1, (5, 3)), expected, atol=1e-5, rtol=1e-4)
    (what, _), *_ = batch.told[0]
    somewhere = model.targets([((what, None),)]).unflatten(1, (5, 3))
    torch.testing.assert_close(somewhere, model.targets([((what, 2),)]).unflatten(1, (5, 3))[:, [2] * 5] / 5**0.5)
    loss, stats, _ = model(sealed=Sealed(batch))
    total = stats["contrastive"] + 0.5 * (stats["clauses"] + stats["distance"])
    torch.testing.assert_close(loss, total)
    audio = clap.embed_audio(model.stereo(batch))
    unit = torch.nn.functional.normalize(found, dim=1)
    torch.testing.assert_close(
        stats["clauses"].squeeze(), symmetric_info_nce(audio, unit, fits(batch.said, batch.true), clap.scale())
    )


def test_seld_weights_reach_the_spatial_encoder(corpus, tmp_path):
    seld, clap = tmp_path / "seld", tmp_path / "clap"
    heard = {key: value for key, value in SMALL.items() if key not in CLAP_ONLY}
    conf = {"seld": {"task": "seld", **heard}, "clap": {"task": "clap", **SMALL, "optim_conf": {"lr": 0.0}}}

    def trained(name: str, *options, init: Path | None = None):
        path = tmp_path / f"{name}.yaml"
        path.write_text(json.dumps(conf[name]))
        places = ["--data", corpus.data, "--dump", corpus.dump, "--exp", tmp_path / name]
        start = ["--init", init] if init else []
        return programs.run("spclap.bin.train", "--config", path, *places, *start, "--", *options)

    assert trained("seld", "--max_epoch", "1").returncode == 0
    assert trained("clap", "--max_epoch", "1", init=seld).returncode == 0
    source, target = parameters(seld), parameters(clap)
    for name in ("cnn.0.weight", "gru.weight_hh_l1", "middle_linear.bias"):
        torch.testing.assert_close(
            target[f"clap.spatial_encoder.{name}"], source[f"seld.spatial_encoder.{name}"], atol=1e-6, rtol=0
        )
    for init, *option, message in (
        (seld, "--spatial_encoder_conf", "hidden=9", "rerun stage 3"),
        (seld, "--equal_level", "false", "equal_level is False"),
        (clap, "--max_epoch", "3", "is a model of task clap"),
    ):
        other = trained("clap", "--max_epoch", "2", *option, init=init)
        assert other.returncode == 1 and message in other.stderr
    assert parameters(clap).keys() == target.keys()


def test_core_imports_without_espnet():
    program = "import sys; sys.modules['espnet2'] = None\n" + "".join(
        f"import spclap.{name}\n"
        for name in ("scene.corpus", "scene.spatialize", "model.spatial_clap", "evaluate.protocols", "bin.pack")
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
