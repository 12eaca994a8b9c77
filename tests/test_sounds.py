"""Scenes that sound like recordings: pauses, levels, kinds that recur, noise."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from spclap.data.config import parse
from spclap.data.pack import ClipPack, write_pack
from spclap.engine.batches import as_they_are, collate
from spclap.engine.masks import MaskTraining
from spclap.errors import DataError
from spclap.model.direction_masks import LearnedMasks
from spclap.model.features import level_factor
from spclap.scene.recorder import Recorder, record
from spclap.scene.sampler import SceneSampler
from spclap.scene.scene import Source, read_scenes, write_scenes
from spclap.scene.sounds import SoundConf
from spclap.scene.spatialize import FADE, dry_parts, dry_window, render, spatialize

RATE = 16000
REAL = SoundConf(
    level_db=10.0, share=[0.1, 0.6], recurring=0.5, recorder={"room_db": [-30.0, -10.0], "own_db": [-20.0, -20.0]}
)


def scenes(clips, bank, conf: SoundConf, size: int = 2, count: int = 400) -> list:
    return SceneSampler(clips, bank, [conf]).fixed([4], size, count, "x")


def ramp_pack(folder, seconds: float) -> ClipPack:
    write_pack(folder, [("ramp", np.linspace(0.1, 1.0, round(seconds * RATE), dtype="f"))])
    return ClipPack(folder)


@pytest.mark.parametrize("onset", [0.0, 0.4, 1.0])
def test_a_short_clip_sounds_once_as_it_is(tmp_path, onset):
    source = Source("ramp", "", ("x",), 0, "front", 0.0, 0.7, -6.0, share=0.5, onset=onset)
    window = dry_window(ramp_pack(tmp_path, 0.25), source, 2 * RATE)
    first = round(onset * 1.75 * RATE)
    sound = window[first : first + RATE // 4]
    assert not window[:first].any() and not window[first + RATE // 4 :].any()
    np.testing.assert_allclose(sound / sound[-1], np.linspace(0.1, 1.0, RATE // 4), rtol=1e-4)
    assert 20 * np.log10(np.sqrt(np.mean(sound**2)) / 0.1) == pytest.approx(-6, abs=0.01)


def test_what_is_cut_from_a_long_clip_fades_and_has_no_seam(tmp_path):
    source = Source("ramp", "", ("x",), 0, "front", 0.0, 0.5, 0.0, share=0.25, onset=0.2)
    window = dry_window(ramp_pack(tmp_path, 3.0), source, 2 * RATE)
    first = round(0.2 * 1.5 * RATE)
    sound = window[first : first + RATE // 2]
    assert np.count_nonzero(window) <= RATE // 2 and sound[0] == sound[-1] == 0
    middle = sound[FADE:-FADE]
    assert (np.diff(middle) > 0).all() and np.ptp(np.diff(middle)) < 1e-6  # one piece of the ramp
    assert np.abs(np.diff(window)).max() < 2 * middle.max() / FADE


def test_draws_are_within_their_ranges_and_even(clips, bank):
    drawn = scenes(clips, bank, REAL)
    sources = [source for scene in drawn for source in scene.sources]
    found = [
        ([s.gain_db for s in sources], -10, 10), ([s.share for s in sources], 0.1, 0.6),
        ([s.onset for s in sources], 0, 1), ([s.recorder.room_db for s in drawn], -30, -10),
    ]  # fmt: skip
    for values, low, high in found:
        quantiles = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
        np.testing.assert_allclose(quantiles, np.linspace(low, high, 5), atol=0.06 * (high - low))
    assert {s.recorder.own_db for s in drawn} == {-20.0} and {s.recorder.hum_db for s in drawn} == {Recorder().hum_db}
    assert len({s.recorder.seed for s in drawn}) == len(drawn)
    assert drawn == scenes(clips, bank, REAL)


def test_kinds_recur_in_some_scenes_but_no_label_does(clips, bank):
    """Four kinds of three clips: a second draw is of the same kind in a quarter, of another clip in two thirds of
    these."""
    same = [len({s.labels[-1] for s in scene.sources}) == 1 for scene in scenes(clips, bank, REAL)]
    assert np.mean(same) == pytest.approx(0.5 * 0.25 * 2 / 3, abs=0.04)
    assert all(len({s.labels[0] for s in scene.sources}) == 2 for scene in scenes(clips, bank, REAL))
    never = scenes(clips, bank, replace(REAL, recurring=0.0))
    assert all(len({s.labels[-1] for s in scene.sources}) == 2 for scene in never)


def test_a_sampler_of_two_sounds_draws_both(clips, bank):
    drawn = SceneSampler(clips, bank, [SoundConf(level_db=3.0), REAL]).fixed([4], 2, 300, "x")
    assert np.mean([scene.recorder is not None for scene in drawn]) == pytest.approx(0.5, abs=0.09)
    assert all((scene.recorder is None) == (scene.sources[0].share is None) for scene in drawn)


def test_recordings_are_their_sources_and_noise_in_training_and_scoring_alike(clips, bank, pack):
    drawn = scenes(clips, bank, REAL, count=3)
    batch = collate([(scene, scene.permutations()) for scene in drawn], pack, bank, RATE)
    rows = iter(batch.stereo())
    for scene in drawn:
        for permutation in scene.permutations():
            row, plain = next(rows), spatialize(*dry_parts([(scene, [permutation])], pack, bank, RATE))
            torch.testing.assert_close(row, render(scene, pack, bank, RATE, permutation))
            torch.testing.assert_close(row[None], record(plain, [(scene.recorder, bank.array(scene.room))]))
            assert (row - plain[0]).std() > 0.01 * plain.std()


def test_masks_hear_noise_but_learn_of_sources(clips, bank, pack):
    drawn = scenes(clips, bank, REAL, count=3)
    batch, model = (
        collate(as_they_are(drawn), pack, bank, RATE),
        MaskTraining(LearnedMasks(looks=3, channels=4, hidden=4)),
    )
    heard, alone, rows = model.spectra(batch)
    stereo, spectra = batch.stereo(), model.spatial_encoder.front.spectra
    torch.testing.assert_close(heard, spectra(level_factor(stereo) * stereo))
    plain = torch.stack([render(replace(scene, recorder=None), pack, bank, RATE) for scene in drawn])
    total = torch.zeros_like(heard).index_add(0, rows, alone)
    torch.testing.assert_close(total, spectra(level_factor(stereo) * plain), atol=1e-4, rtol=1e-3)


def test_scenes_with_recorders_survive_the_disk(tmp_path, clips, bank):
    drawn = scenes(clips, bank, REAL, count=5)
    write_scenes(tmp_path / "s.jsonl", drawn)
    assert read_scenes(tmp_path / "s.jsonl") == drawn


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ({"share": [0.0, 1.0]}, r"share is \[0.0, 1.0\]; it must be within \(0, 1\]"),
        ({"share": [0.5]}, r"share is \[0.5\]; it must be \[low, high\], in order"),
        ({"recorder": {"room": [0, 1]}}, "recorder has room; it can have room_db, slope_db"),
        ({"recorder": {"own_db": [1, 0]}}, r"recorder: own_db is \[1, 0\]; it must be \[low, high\], in order"),
        ({"recorder": {"highpass_hz": [0, 9]}}, "recorder: highpass_hz is .* it must be above 0"),
        ({"recurring": 2.0}, "level_db 3.0 must not be negative, recurring 2.0 within"),
        ({"level_db": -1.0}, "level_db -1.0 must not be negative"),
    ],
)
def test_sounds_that_cannot_be_are_one_line(over, message):
    with pytest.raises(DataError, match=f"sounds: real: {message}"):
        parse(SoundConf, {"level_db": 3.0, **over}, "sounds: real")
