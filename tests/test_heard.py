"""What frozen encoders hear is made once, and is what they would hear anew."""

import argparse
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_training import SMALL

from spclap.engine.batches import FixedScenes, FreshScenes, Sealed, collate
from spclap.engine.clap import ClapTask
from spclap.engine.heard import HeardScenes, Hearer, Hearing, PooledScenes
from spclap.errors import DataError
from spclap.evaluate.frozen import fixed_sets
from spclap.evaluate.protocols import Embeddings
from spclap.scene.conf import CLEAN
from spclap.scene.corpus import Corpus
from spclap.scene.spatialize import render

FROZEN = {
    **SMALL, "frozen": ["content_encoder", "spatial_encoder"], "spatial_encoder": "fixed_masks",
    "spatial_encoder_conf": {}, "fusion": "directions", "fusion_conf": {"depth": 7}, "dim": 15, "text_head": "queries",
    "clause_weight": 1.0,
}  # fmt: skip


def build(corpus: Corpus, **conf):
    defaults = vars(ClapTask.get_parser().parse_args([]))
    args = {**defaults, **FROZEN, **conf, "data": str(corpus.data), "dump": str(corpus.dump)}
    torch.manual_seed(0)
    return ClapTask.build_model(argparse.Namespace(**args)).eval()


@pytest.fixture(scope="module")
def model(corpus):
    return build(corpus)


@pytest.fixture
def own(corpus, tmp_path) -> Corpus:
    """The corpus with a dump where nothing was heard yet."""
    (tmp_path / "clips").symlink_to(corpus.dump / "clips")
    (tmp_path / "feats.yaml").write_bytes((corpus.dump / "feats.yaml").read_bytes())
    return Corpus(corpus.data, tmp_path)


def fresh(
    corpus, batch={1: 3, 2: 4}, permutations=6, rank=0, world=1, seed=0, pool={1: 5, 2: 6}, seconds=()  # noqa: B006
) -> FreshScenes:  # fmt: skip
    return FreshScenes(corpus, batch, permutations, 3, seed, rank, world, pool=pool, seconds=seconds)


@torch.no_grad()
def heard_anew(model, corpus, split, scene, permutation, samples=None) -> list[torch.Tensor]:
    sounds = corpus.pack(split), corpus.bank(split), samples or corpus.samples
    recording = render(scene, *sounds, permutation)[None]
    return [part[0] for part in model.clap.hear(recording, [sounds[1].array(scene.room)])]


@pytest.mark.parametrize("split", ["valid", "test"])
@pytest.mark.parametrize("size", [1, 3, 32])
def test_fixed_scenes_are_heard_in_order(model, own, split, size):
    """Whatever the size of batches, and of all sets one after the other."""
    counts, seen = own.fixed_counts(split), []
    fixed = FixedScenes(own, split, counts, size)
    scenes = HeardScenes(fixed, Hearing(model.clap, own))
    for index in range(len(scenes)):
        batch = scenes[index]
        for row, (scene, permutation) in enumerate(batch.items):
            for part, anew in zip(batch.heard, heard_anew(model, own, split, scene, permutation), strict=True):
                torch.testing.assert_close(part[row], anew, atol=1e-4, rtol=1e-3)
        seen += batch.scenes
        assert batch.captions == fixed[index].captions and torch.equal(batch.said, fixed[index].said)
    assert seen == [scene for n in counts for scene in own.fixed(split, n)]


@pytest.mark.parametrize("seconds", [(), (0.5, 2.0)])
def test_a_pool_holds_every_permutation_as_it_sounds(model, own, seconds):
    """Of whatever length each scene has."""
    scenes = PooledScenes(fresh(own, seconds=seconds), Hearing(model.clap, own))
    seen, lengths = set(), set()
    for step in range(3):
        batch = scenes[step]
        assert [len(batch), len({scene.id for scene in batch.scenes})] == [3 + 2 * 4, 3 + 4]
        for row, (scene, permutation) in enumerate(batch.items):
            seen.add((scene.id, permutation))
            samples = scenes.fresh.samples(scene.size, int(scene.id.split("-")[-1]))
            lengths.add(samples)
            found = heard_anew(model, own, "train", scene, permutation, samples)
            for part, anew in zip(batch.heard, found, strict=True):
                torch.testing.assert_close(part[row], anew, atol=2e-3, rtol=2e-3)  # kept in half precision
    assert {permutation for _, permutation in seen} == {(0,), (0, 1), (1, 0)}
    assert (len(lengths) > 3) if seconds else (lengths == {own.samples})


def test_batches_depend_on_seed_epoch_and_step_and_ranks_share_them(model, own):
    hearing = Hearing(model.clap, own)

    def drawn(epoch=1, step=0, **options):
        scenes = PooledScenes(fresh(own, {1: 2, 2: 4}, **options), hearing)
        scenes.epoch = epoch
        return [(scene.id, permutation) for scene, permutation in scenes[step].items]

    assert drawn() == drawn()
    assert len({str(drawn()), str(drawn(epoch=2)), str(drawn(step=1)), str(drawn(seed=1))}) == 4
    shares = [drawn(rank=rank, world=2) for rank in (0, 1)]
    assert sorted(shares[0] + shares[1]) == sorted(drawn()) and len(shares[0]) == len(shares[1])
    ids = [name for name, _ in drawn() if "-2-" in name]
    assert sorted(ids.count(name) for name in set(ids)) == [2] * 4  # a scene and its swap come together


def at(scenes: PooledScenes, epoch: int) -> PooledScenes:
    scenes.epoch = epoch
    return scenes


def test_captions_of_the_clips_are_drawn_anew(model, own):
    scenes = PooledScenes(fresh(own, {2: 4}), Hearing(model.clap, own))
    told = {source.caption for step in range(3) for scene in scenes[step].scenes for source in scene.sources}
    all_captions = {c for scene in scenes.pools[2].scenes for source in scene.sources for c in source.every_caption}
    assert told <= all_captions
    drawn = {scene.id: scene for scene in scenes.pools[2].scenes}
    found = [scene for epoch in range(4) for step in range(3) for scene in at(scenes, epoch)[step].scenes]
    assert any(scene != drawn[scene.id] for scene in found)
    for scene in found:
        said = [replace(source, caption="") for source in scene.sources]
        assert said == [replace(source, caption="") for source in drawn[scene.id].sources]
    words = {(scene.id, scene.sources[0].caption) for scene in found}
    assert len(words) > len({name for name, _ in words})


def test_one_permutation_a_scene_is_a_drawn_one(model, own):
    scenes = PooledScenes(fresh(own, {2: 4}, permutations=1), Hearing(model.clap, own))
    chosen = [permutation for step in range(3) for _, permutation in scenes[step].items]
    assert {(0, 1), (1, 0)} == set(chosen) and len(chosen) == 12


def test_models_with_the_same_ears_share_what_was_heard_and_others_do_not(model, own, monkeypatch):
    first = Hearing(model.clap, own)
    PooledScenes(fresh(own), first)
    first.fixed("test", 2, CLEAN)
    times = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*.npy")}
    assert len(times) == 2 * 3
    other = build(own, clause_weight=0.0, text_encoder_conf={"dim": 24, "layers": 1})
    monkeypatch.setattr(type(other.clap), "hear", lambda *given: pytest.fail("heard again"))
    PooledScenes(fresh(own), Hearing(other.clap, own))
    Hearing(other.clap, own).fixed("test", 2, CLEAN)
    assert times == {path: path.stat().st_mtime_ns for path in first.folder.rglob("*.npy")}
    for conf in ({"spatial_encoder_conf": {"sharpness": 4.0}}, {"fusion_conf": {"depth": 0}}, {"equal_level": False}):
        assert Hearing(build(own, **conf).clap, own).folder != first.folder
    with torch.no_grad():
        other.clap.content_encoder.layers[3].bias[0] += 1e-6
    assert Hearing(other.clap, own).folder != first.folder


def test_other_scenes_or_sounds_are_heard_anew_and_damage_is_told(model, own):
    hearing = Hearing(model.clap, own)
    before = hearing.pool(fresh(own), 1).rows([0])[0]
    assert not torch.equal(hearing.pool(fresh(own, seed=1), 1).rows([0])[0], before)
    assert torch.equal(hearing.pool(fresh(own), 1).rows([0])[0], before)
    varied = fresh(own)
    varied.augmentation = replace(varied.augmentation, eq_db=6.0)
    assert not torch.equal(hearing.pool(varied, 1).rows([0])[0], before)
    place = hearing.folder / "train_seed0_1src"
    stamp = json.loads((place / "done.json").read_text())
    (place / "done.json").write_text(json.dumps({**stamp, "sounds": "others"}))
    hearing.pool(varied, 1)
    assert json.loads((place / "done.json").read_text())["sounds"] == stamp["sounds"]
    with (place / "0.npy").open("r+b") as file:
        file.truncate(200)
    with pytest.raises(DataError, match="0.npy: changed since this stage made it"):
        hearing.pool(varied, 1)


def test_losses_and_gradients_are_those_of_the_sound(corpus, model, own):
    scenes = PooledScenes(fresh(own), Hearing(model.clap, own))
    pooled = scenes[0]
    order = list(dict.fromkeys(scene.id for scene in pooled.scenes))
    groups = [[(s, p) for s, p in pooled.items if s.id == key] for key in order]
    items = [(group[0][0], [permutation for _, permutation in group]) for group in groups]
    sounding = collate(items, own.pack("train"), own.bank("train"), own.samples, scenes.fresh.sampler.width)
    assert sounding.items == pooled.items
    found = []
    for batch in (pooled, sounding):
        model.zero_grad()
        loss, stats, weight = model(sealed=Sealed(batch))
        loss.backward()
        found.append((loss, weight, model.clap.fusion.blocks.projection[0].weight.grad.clone()))
    (loss, weight, gradient), (own_loss, own_weight, own_gradient) = found
    assert weight == own_weight == 11
    torch.testing.assert_close(loss, own_loss, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(gradient, own_gradient, atol=1e-2 * own_gradient.abs().max().item(), rtol=0.05)


def test_what_is_trained_hears_every_scene_anew(corpus, own):
    tuned = build(own, frozen=["spatial_encoder"])
    scenes, fixed = fresh(own), FixedScenes(own, "valid", [1])
    assert tuned.listen(scenes) is scenes and tuned.listen(fixed) is fixed
    frozen = build(own)
    assert frozen.listen(fresh(own, pool={})).pool == {} and not (own.dump / "heard").exists()
    assert isinstance(frozen.listen(scenes), PooledScenes) and isinstance(frozen.listen(fixed), HeardScenes)
    sounds = fixed_sets(own)[1]
    assert Hearer(tuned.clap, own).heard(sounds) is None
    kept, heard = (Embeddings(Hearer(model.clap.eval(), own)).hear(sounds).audio for model in (frozen, tuned))
    np.testing.assert_allclose(kept, heard, atol=1e-4, rtol=1e-3)


def test_a_pool_smaller_than_a_batch_is_refused(model, own):
    with pytest.raises(DataError, match=r"pool is \{1: 5\}, a batch has 4 scenes of 2 source\(s\); give as many"):
        PooledScenes(fresh(own, pool={1: 5}), Hearing(model.clap, own))
