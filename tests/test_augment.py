"""Variation of scenes against what it should do to the recording."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from spclap.data.pack import ClipPack, write_pack
from spclap.engine.batches import collate
from spclap.scene.augment import EQ_OCTAVES, Augmentation, equalise
from spclap.scene.scene import read_scenes, write_scenes
from spclap.scene.spatialize import dry_window, render
from spclap.space.array import array_of
from spclap.space.directions import DIRECTIONS

RATE = 16000


def tone(frequency: float, samples: int = RATE) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(samples) / RATE).astype("f")


def test_the_defaults_change_nothing(sampler):
    scene = sampler.draw(np.random.default_rng(0), 3, "x")
    assert Augmentation().draw(scene, np.random.default_rng(1)) == scene


def test_a_mirrored_scene_is_the_recording_with_its_channels_exchanged(sampler, pack, bank, tmp_path):
    scene = sampler.draw(np.random.default_rng(0), 2, "x")
    mirrored = Augmentation(mirror=1.0).draw(scene, np.random.default_rng(1))
    for permutation in scene.permutations():
        expected = render(scene, pack, bank, RATE, permutation).flip(0)
        torch.testing.assert_close(render(mirrored, pack, bank, RATE, permutation), expected)
    for one, other in zip(scene.sources, mirrored.sources, strict=True):
        assert DIRECTIONS.index(one.direction) + DIRECTIONS.index(other.direction) == len(DIRECTIONS) - 1
        assert one.azimuth == -other.azimuth
    write_scenes(tmp_path / "s.jsonl", [mirrored])
    assert read_scenes(tmp_path / "s.jsonl") == [mirrored]


def test_the_array_of_a_mirrored_scene_is_told_mirrored(sampler, pack, bank, monkeypatch):
    head = array_of("head:some.sofa")
    monkeypatch.setattr(type(bank), "array", lambda self, room: head)
    scene = sampler.draw(np.random.default_rng(0), 2, "x")
    mirrored = Augmentation(mirror=1.0).draw(scene, np.random.default_rng(1))
    batch = collate([(scene, [(0, 1), (1, 0)]), (mirrored, [(0, 1)])], pack, bank, RATE)
    assert batch.arrays == [head, head, head.mirrored()] and head.mirrored() != head


def test_half_of_the_scenes_are_mirrored(sampler):
    rng, augmentation = np.random.default_rng(0), Augmentation(mirror=0.5)
    scenes = [augmentation.draw(sampler.draw(rng, 1, "x"), rng) for _ in range(400)]
    assert 160 < sum(scene.mirrored for scene in scenes) < 240


@pytest.mark.parametrize("octave", [3, 5, 6])
def test_equalisation_gives_a_tone_the_gain_of_its_octave(octave):
    gains = np.linspace(-6, 6, EQ_OCTAVES)
    x = tone(RATE * 2.0 ** (octave - EQ_OCTAVES) * 0.9999)
    change = 20 * np.log10(np.std(equalise(x, gains)) / np.std(x))
    assert change == pytest.approx(gains[octave], abs=0.05)


@pytest.mark.parametrize("speed", [0.8, 1.25])
@pytest.mark.parametrize("seconds", [0.5, 4])
def test_speed_moves_a_tone(tmp_path, sampler, speed, seconds):
    write_pack(tmp_path, [("tone", tone(1000, int(seconds * RATE)))])
    source = sampler.draw(np.random.default_rng(0), 1, "x").sources[0]
    window = dry_window(ClipPack(tmp_path), replace(source, clip="tone", speed=speed), RATE)
    assert window.shape == (RATE,)
    assert np.abs(np.fft.rfft(window * np.hanning(RATE))).argmax() == pytest.approx(1000 * speed, abs=2)


def test_variants_stay_within_their_ranges_and_depend_on_the_seed_alone(sampler):
    augmentation = Augmentation(speed=(0.8, 1.25), eq_db=3.0, level_db=4.0)
    scene = sampler.draw(np.random.default_rng(0), 3, "x")
    drawn = [augmentation.draw(scene, np.random.default_rng(seed)) for seed in range(50)]
    assert drawn == [augmentation.draw(scene, np.random.default_rng(seed)) for seed in range(50)]
    for variant in drawn:
        for source, new in zip(scene.sources, variant.sources, strict=True):
            assert 0.8 <= new.speed <= 1.25 and abs(new.gain_db - source.gain_db) <= 4.0
            assert len(new.eq_db) == EQ_OCTAVES and max(map(abs, new.eq_db)) <= 3.0
    assert len({source.speed for variant in drawn for source in variant.sources}) == 150
    with pytest.raises(ValueError, match="speed is"):
        Augmentation(speed=(1.0, 3.0))
