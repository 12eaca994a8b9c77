"""Recordings in every form that libraries have them in give the same vectors."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from small_clap import small_clap

from spclap.errors import DataError
from spclap.inference import SpatialCLAP

RATE = 16000


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> SpatialCLAP:
    return small_clap(tmp_path_factory.mktemp("text"))


@pytest.fixture(scope="module")
def stereo() -> np.ndarray:
    left = np.random.default_rng(0).standard_normal(2 * RATE).astype("f")
    return 0.1 * np.stack([left, 0.5 * np.roll(left, 5)])


class Decoder:
    """As `datasets` has it since 4.0: its "array" is the mean of the channels."""

    def __init__(self, stereo, rate):
        self.samples = SimpleNamespace(data=torch.from_numpy(stereo), sample_rate=rate)

    def get_all_samples(self):
        return self.samples

    def __getitem__(self, key):
        return {"array": self.samples.data.mean(0).numpy(), "sampling_rate": self.samples.sample_rate}[key]


def test_all_forms_are_one_recording(model, stereo, tmp_path):
    soundfile.write(tmp_path / "a.wav", stereo.T, RATE, subtype="FLOAT")
    expected = model.embed_audio(stereo, sampling_rate=RATE)
    item = {"array": stereo, "sampling_rate": RATE, "path": None}
    forms = [
        tmp_path / "a.wav", str(tmp_path / "a.wav"), item, {**item, "array": torch.from_numpy(stereo)},
        Decoder(stereo, RATE),
    ]  # fmt: skip
    for form in forms:
        np.testing.assert_array_equal(model.embed_audio(form), expected)
        np.testing.assert_array_equal(model.embed_audio([form]), expected)
        (vector,) = [heard.vector for heard in model.windows(form, window=2.0)]
        np.testing.assert_array_equal(vector, next(iter(model.windows(stereo, 2.0, sampling_rate=RATE))).vector)
    np.testing.assert_allclose(model.embed_audio(forms), expected.repeat(5, axis=0), atol=1e-6)
    tensor = torch.from_numpy(stereo).requires_grad_()
    for form in (tensor, [stereo], (tensor,), stereo[None], tensor[None], stereo.astype("float64")):
        np.testing.assert_array_equal(model.embed_audio(form, RATE), expected)


def test_both_names_of_the_rate_are_one(model, stereo):
    expected = model.embed_audio(stereo, RATE)
    for named in ({"sampling_rate": RATE}, {"sample_rate": RATE}, {"sampling_rate": RATE, "sample_rate": RATE}):
        np.testing.assert_array_equal(model.embed_audio(stereo, **named), expected)
    assert len(list(model.windows(stereo, sample_rate=RATE))) == 2
    with pytest.raises(DataError, match="sampling_rate is 16000, sample_rate 8000; give one"):
        model.embed_audio(stereo, sampling_rate=RATE, sample_rate=8000)
    item = {"array": stereo, "sampling_rate": RATE}
    np.testing.assert_array_equal(model.embed_audio(item, sample_rate=RATE), expected)
    with pytest.raises(DataError, match="recording 0 has the sampling_rate 16000, told was 8000"):
        model.embed_audio([item], 8000)


@pytest.mark.parametrize("rate", [0, -1, 999, 1e6, float("nan"), "16000", [16000]])
def test_a_rate_that_is_none_is_told(model, stereo, rate):
    with pytest.raises(DataError, match=r"recording 1: sampling_rate is .*; it must be within 1000 and 768000 Hz"):
        model.embed_audio([{"array": stereo, "sampling_rate": RATE}, {"array": stereo, "sampling_rate": rate}])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"bytes": b"RIFF", "path": "a.wav"}, "recording 0 has bytes, path; give array and sampling_rate"),
        (np.zeros(RATE, "f"), r"shape \(16000,\), expected \(2, samples\)"),
        ([0.0] * 100, "expected .2, samples"),
        ((np.zeros((2, RATE))).astype("int16"), "samples are int16; give floats"),
        (Path("none.wav"), "none.wav: audio file not found"),
    ],
)
def test_what_is_no_recording_is_told(model, wrong, message):
    with pytest.raises(DataError, match=message):
        model.embed_audio([wrong], None if isinstance(wrong, Path) else RATE)
    with pytest.raises(DataError, match="no recordings; give at least one"):
        model.embed_audio([])


def test_any_iterable_of_recordings_is_a_list(model, stereo, tmp_path):
    paths = [tmp_path / name for name in ("a.wav", "b.wav")]
    for path in paths:
        soundfile.write(path, stereo.T, RATE)
    expected = model.embed_audio(paths)
    for several in ((path for path in paths), np.array(list(map(str, paths))), np.array(paths, dtype=object)):
        np.testing.assert_array_equal(model.embed_audio(several), expected)
    half = torch.from_numpy(stereo).bfloat16()
    np.testing.assert_array_equal(model.embed_audio(half, RATE), model.embed_audio(half.float().numpy(), RATE))
    np.testing.assert_array_equal(model.embed_audio(stereo, RATE, sample_rate=RATE), model.embed_audio(stereo, RATE))
    for nothing in (None, 3.0):
        with pytest.raises(DataError, match=f"recordings is {nothing}; give a path"):
            model.embed_audio(nothing)


@pytest.mark.parametrize("hop", [0.1, 0.25, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("seconds", [0.5, 1.0, 1.01, 3.33])
def test_windows_overlap_by_the_hop_and_cover_all(model, stereo, hop, seconds):
    """As a loop over samples has them: what none before it had counts."""
    samples = np.resize(stereo, (2, round(seconds * RATE)))
    found = list(model.windows(samples, 1.0, hop, sampling_rate=RATE))
    size, length, step = RATE, samples.shape[1], round(hop * RATE)
    starts = list(range(0, length - size + 1, step)) if length > size else [0]
    if starts[-1] + size < length:
        starts.append(length - size)
    assert [round(heard.start * RATE) for heard in found] == starts
    assert [round(heard.end * RATE) for heard in found] == [min(start + size, length) for start in starts]
    seen = 0
    for heard, start in zip(found, starts, strict=True):
        part = samples[:, start : start + size].astype("f8")
        part = part - part.mean(axis=1, keepdims=True)
        assert heard.energy == pytest.approx(np.square(part[:, max(seen - start, 0) :]).sum() / RATE, rel=1e-3)
        seen = start + size
        np.testing.assert_allclose(heard.vector, model.embed_audio(part.astype("f"), RATE)[0], atol=2e-6)


@pytest.mark.parametrize(("window", "hop"), [(0.05, None), (float("nan"), None), (1.0, 1.5), (1.0, 0.0), (1.0, -1.0)])
def test_windows_that_make_no_sense_are_refused(model, stereo, window, hop):
    with pytest.raises(DataError, match="a window must be 0.1 s or more, a hop 0.01 s or more and at most a window"):
        next(model.windows(stereo, window, hop, sampling_rate=RATE))
