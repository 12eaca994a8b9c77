"""Recordings of any length, level and offset as one vector each."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from small_clap import ANY_ARRAY, Echo, small_clap

from spclap.data.audio import SILENCE_DB, windows
from spclap.data.decode import Stream
from spclap.errors import DataError
from spclap.inference import SpatialCLAP
from spclap.listening import AT_ONCE
from spclap.space.array import Sphere, array_of

RATE = 16000


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> SpatialCLAP:
    return small_clap(tmp_path_factory.mktemp("text"))


def sound(seconds: float, seed: int = 0, level: float = 0.1) -> np.ndarray:
    """(2, samples) of noise that is stronger and earlier on the left."""
    left = np.random.default_rng(seed).standard_normal(round(seconds * RATE)).astype("f")
    return level * np.stack([left, 0.5 * np.roll(left, 5)])


def centred(stereo: np.ndarray) -> np.ndarray:
    return stereo - stereo.mean(axis=1, keepdims=True)


def heard(model: SpatialCLAP, stereo: np.ndarray) -> np.ndarray:
    """The vector of samples that the model is given as they are."""
    with torch.no_grad():
        return model.clap.embed_audio(torch.from_numpy(stereo)[None])[0].numpy()


def test_one_window_is_what_the_model_hears(model):
    stereo = centred(sound(1.0))
    np.testing.assert_allclose(model.embed_audio([stereo], RATE)[0], heard(model, stereo), atol=1e-5)


def test_long_recordings_are_the_energy_weighted_mean_of_their_windows(model):
    """The last window lies at the end; it counts with what no window before it had."""
    stereo = np.concatenate([sound(1.0, 1), sound(1.0, 2, 0.4), sound(0.3, 3, 0.2)], axis=1)
    parts = [centred(stereo[:, :RATE]), centred(stereo[:, RATE : 2 * RATE]), centred(stereo[:, -RATE:])]
    new = [parts[0], parts[1], parts[2][:, -round(0.3 * RATE) :]]
    mean = sum(float((part**2).sum()) * heard(model, window) for part, window in zip(new, parts, strict=True))
    np.testing.assert_allclose(model.embed_audio([stereo], RATE)[0], mean / np.linalg.norm(mean), atol=1e-5)
    starts = [(round(x.start, 4), round(x.end, 4)) for x in model.windows(stereo, sampling_rate=RATE)]
    assert starts == [(0.0, 1.0), (1.0, 2.0), (1.3, 2.3)]


@pytest.mark.parametrize(("length", "starts"), [(10, [0]), (20, [0]), (40, [0, 20]), (50, [0, 20, 30]), (21, [0, 1])])
@pytest.mark.parametrize("block", [1, 7, 20, 100])
def test_windows_cover_a_recording_however_it_is_read(length, starts, block):
    samples = np.random.default_rng(0).standard_normal((length, 2)).astype("f")
    stream = Stream("a", 100, 2, None, iter([samples[i : i + block] for i in range(0, length, block)]))
    found = list(windows(stream, 100, 0.2))
    assert [round(window.start * 100) for window in found] == starts
    for window in found:
        part = samples[round(window.start * 100) : round(window.end * 100)]
        expected = np.resize(part - part.mean(axis=0), (20, 2)).T
        np.testing.assert_allclose(window.audio, expected, atol=1e-6)
    assert np.isclose(found[0].energy, np.square(samples[:20] - samples[:20].mean(axis=0)).sum() / 100, rtol=1e-4)


@pytest.mark.parametrize("seconds", [0.1, 0.2, 0.25, 0.3, 0.7])
def test_short_recordings_are_repeated_as_in_training(model, seconds):
    stereo = sound(seconds)
    repeated = np.stack([np.resize(channel, RATE) for channel in centred(stereo)])
    np.testing.assert_allclose(model.embed_audio(stereo, RATE)[0], heard(model, repeated), atol=1e-5)


@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize("seconds", [0.6, 2.5])
def test_an_offset_of_both_channels_is_not_heard(model, rate, seconds):
    stereo = np.concatenate([sound(1.0, 1, 0.03), sound(3.0, 2, 0.03)], axis=1)[:, : round(seconds * rate)]
    moved = stereo + np.array([[0.05], [-0.2]], np.float32)
    plain, offset = model.embed_audio([stereo, moved], rate)
    assert plain @ offset > 0.9999


def test_silence_is_what_lies_below_the_level(model):
    hiss = 10 ** ((SILENCE_DB - 3) / 20) * sound(1.0, 5) / 0.1
    one, two = sound(1.0, 1), sound(1.0, 2)
    mixed, clean = (np.concatenate([one, between, two], axis=1) for between in (hiss, 0 * hiss))
    np.testing.assert_array_equal(*model.embed_audio([mixed, clean], RATE))
    assert [x.vector is None for x in model.windows(mixed, sampling_rate=RATE)] == [False, True, False]
    assert model.embed_audio(hiss * 10 ** (10 / 20), RATE).shape == (1, 16)
    for silent in (hiss, 0 * hiss, 0 * hiss + 0.05, np.tile(hiss, 3)):
        with pytest.raises(DataError, match="recording 0: silent: .* at least -80 dB re full scale"):
            model.embed_audio(silent, RATE)


def test_the_same_file_always_gives_the_same_bits(model, tmp_path):
    for name, seconds in (("a", 0.4), ("b", AT_ONCE + 2.5)):
        soundfile.write(tmp_path / f"{name}.wav", sound(seconds).T, RATE, subtype="FLOAT")
    a, b = tmp_path / "a.wav", tmp_path / "b.wav"
    alone = np.concatenate([model.embed_audio([a]), model.embed_audio([b])])
    np.testing.assert_array_equal(alone, np.concatenate([model.embed_audio([a]), model.embed_audio([b])]))
    np.testing.assert_allclose(alone, model.embed_audio([a, b]), atol=1e-6)
    np.testing.assert_allclose(alone[::-1], model.embed_audio([b, a]), atol=1e-6)
    np.testing.assert_array_equal(alone[1], model.embed_audio(sound(AT_ONCE + 2.5), RATE)[0])


@pytest.mark.parametrize("rate", [22050, 44100, 48000])
def test_resampling_keeps_sides_levels_and_delays(rate):
    time = np.arange(rate) / rate
    left = sum(np.sin(2 * np.pi * hz * time + hz) for hz in (300, 700, 1900, 3100))
    late = 4 / 16000  # s
    right = 0.25 * sum(np.sin(2 * np.pi * hz * (time - late) + hz) for hz in (300, 700, 1900, 3100))
    stream = Stream("a", rate, 2, 1.0, iter([np.stack([left, right], axis=1).astype("f")]))
    ((heard_left, heard_right),) = (window.audio[:, 500:-500] for window in windows(stream, RATE, 1.0))
    assert abs(heard_right.std() / heard_left.std() - 0.25) < 0.002
    np.testing.assert_allclose(heard_right[4:], 0.25 * heard_left[:-4], atol=0.02)


def test_memory_does_not_grow_with_length():
    block = sound(1.0).T.copy()
    tracemalloc.start()
    count = sum(1 for _ in windows(Stream("a", RATE, 2, None, (block for _ in range(600))), RATE, 2.5))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 240 and peak < 8e6  # as a whole it would be 77e6


def test_one_item_counts_as_a_list_of_one(model, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, sound(1.0).T, RATE, subtype="FLOAT")
    model.captioner = Echo()
    for one in (path, str(path)):
        np.testing.assert_array_equal(model.embed_audio(one), model.embed_audio([one]))
        assert model.caption(one) == model.caption([one]) and len(model.caption(one)) == 1
    for one in (sound(1.0), torch.from_numpy(sound(1.0))):
        np.testing.assert_array_equal(model.embed_audio(one, RATE), model.embed_audio([one], RATE))
    assert model.embed_audio(np.stack([sound(1.0)] * 3), RATE).shape == (3, 16)
    np.testing.assert_array_equal(model.embed_text("dog"), model.embed_text(["dog"]))
    assert model.embed_text("dog").shape == (1, 16)
    for nothing in ("", " ", "\u200b", 3):
        with pytest.raises(DataError, match="is not a text; give words"):
            model.embed_text(["dog", nothing])
    with pytest.raises(DataError, match="recording 0 is bytes; give a path as text"):
        model.embed_audio(b"a.wav")


def test_a_model_says_how_long_its_scenes_were(model):
    for seconds, message in ((None, "has no scene_seconds"), (0.2, "0.5 s or more"), (float("nan"), "0.5 s or more")):
        with pytest.raises(DataError, match=message):
            SpatialCLAP(model.clap, scene_seconds=seconds).embed_audio(sound(1.0), RATE)
    with pytest.raises(DataError, match="no captioner"):
        SpatialCLAP(model.clap, scene_seconds=1.0).caption(sound(1.0), RATE)


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> SpatialCLAP:
    """A model that can be told what it hears through."""
    return small_clap(tmp_path_factory.mktemp("text"), ANY_ARRAY)


def test_a_recording_is_heard_through_the_array_that_is_said(told):
    stereo = [centred(sound(1.0, seed)) for seed in range(2)]
    default, ortf, sphere = (told.embed_audio(stereo, RATE, array=array) for array in (None, "ortf", Sphere(0.08)))
    np.testing.assert_array_equal(default, told.embed_audio(stereo, RATE, array="pair:0.17"))
    assert np.abs(default - ortf).max() > 1e-5 < np.abs(ortf - sphere).max()
    with torch.no_grad():
        direct = told.clap.embed_audio(torch.from_numpy(np.stack(stereo)), [array_of("ortf")]).numpy()
    np.testing.assert_allclose(ortf, direct, atol=1e-6)
    parts = list(told.windows(stereo[0], sampling_rate=RATE, array="ortf"))
    np.testing.assert_allclose(parts[0].vector, ortf[0], atol=1e-6)


def test_recordings_of_any_length_are_heard_together_as_they_are_alone(told):
    """Their windows share batches, each with what heard its recording."""
    lengths, words = (1.0, 3.3, 0.4, 12.0, 1.0), ("ortf", "xy:90", "pair:0.3", "ortf", "sphere:0.09")
    recordings = [sound(seconds, seed) for seed, seconds in enumerate(lengths)]
    together = told.embed_audio(recordings, RATE, array=words)
    alone = [told.embed_audio(one, RATE, array=array)[0] for one, array in zip(recordings, words, strict=True)]
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert np.abs(together[0] - told.embed_audio(recordings[0], RATE)[0]).max() > 1e-5
    np.testing.assert_array_equal(told.get_audio_embeddings(recordings, RATE, words), together)
    with pytest.raises(DataError, match="array lists 2 for 5 recordings; give one for each, or one"):
        told.embed_audio(recordings, RATE, array=["ortf", "ortf"])


def test_an_array_that_training_never_had_is_said_once(told, caplog, monkeypatch):
    monkeypatch.setattr(SpatialCLAP, "arrays", ["pair:0.08-0.30", "ortf"])
    told.embed_audio(sound(1.0), RATE, array="ortf")
    told.embed_audio(sound(1.0), RATE, array="pair:0.1")
    assert not caplog.records
    for _ in range(2):
        told.embed_audio([sound(1.0)] * 2, RATE, array="xy:90")
    (record,) = caplog.records
    assert record.getMessage() == "array xy:90: trained on pair:0.08-0.30, ortf, so it may hear less well"


def test_a_model_that_cannot_be_told_refuses_another_array(model, told):
    own = model.embed_audio(sound(1.0), RATE)
    np.testing.assert_array_equal(own, model.embed_audio(sound(1.0), RATE, array="pair:0.17"))
    with pytest.raises(DataError, match="array ortf: this model cannot be told .* it learned pair:0.17"):
        model.embed_audio(sound(1.0), RATE, array="ortf")
    with pytest.raises(DataError, match="array `quad` is none of: ortf"):
        told.embed_audio(sound(1.0), RATE, array="quad")
    for array in (17, [17], Path("ortf")):
        with pytest.raises(DataError, match="give words, such as ortf"):
            told.embed_audio(sound(1.0), RATE, array=array)


def test_a_model_that_cannot_be_told_hears_what_it_learned_all_the_same(model, monkeypatch):
    monkeypatch.setattr(SpatialCLAP, "arrays", ["pair:0.17", "pair:0.08-0.30"])
    own = model.embed_audio(sound(1.0), RATE)
    np.testing.assert_array_equal(own, model.embed_audio(sound(1.0), RATE, array="pair:0.12"))
    with pytest.raises(DataError, match="it learned pair:0.17, pair:0.08-0.30"):
        model.embed_audio(sound(1.0), RATE, array="ortf")
