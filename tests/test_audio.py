"""Reading audio: good files of any rate become mono 16 kHz, bad ones are refused by name; packs are exact."""

import os
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from spclap.data.audio import SILENCE_DB, read_clip, shorten_silence
from spclap.data.datadir import Clip, write_datadir
from spclap.data.stream import BLOCK, open_stream
from spclap.errors import DataError

RATE = 16000


def tone(seconds: float, rate: int = RATE, hz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


def write(path, samples, rate=RATE, **kw):
    soundfile.write(path, samples, rate, **kw)
    return path


def test_reads_what_was_written(tmp_path):
    path = write(tmp_path / "a.wav", tone(0.5), subtype="FLOAT")
    clip = read_clip(path, RATE)
    assert clip.dtype == np.float32 and clip.shape == (8000,)
    assert np.allclose(clip, tone(0.5), atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 22050, 48000])
def test_resampled_clip_keeps_length_and_pitch(tmp_path, rate):
    clip = read_clip(write(tmp_path / "a.wav", tone(1.0, rate), rate, subtype="FLOAT"), RATE)
    assert abs(len(clip) - RATE) <= 1
    middle = slice(2000, 14000)
    assert np.abs(clip[middle] - tone(1.0)[middle]).max() < 5e-3


def test_stereo_is_mixed_down(tmp_path):
    path = write(tmp_path / "a.wav", np.stack([tone(0.5), np.zeros(8000)], 1), subtype="FLOAT")
    assert np.allclose(read_clip(path, RATE), tone(0.5) / 2, atol=1e-6)


@pytest.mark.parametrize(
    ("channels", "rate", "options", "words"),
    [
        (2, RATE, {"mixdown": False}, ["2 channels", "expected 1", "`mixdown: true`", "conf/feats.yaml"]),
        (1, 8000, {"resample": False}, ["8000 Hz", "expected 16000 Hz", "`resample: true`", "conf/feats.yaml"]),
        (1, 48000, {"resample": False}, ["48000 Hz", "`resample: true`"]),
    ],
)
def test_format_must_be_allowed(tmp_path, channels, rate, options, words):
    path = write(tmp_path / "a.wav", np.stack([tone(0.5, rate)] * channels, 1), rate, subtype="FLOAT")
    with pytest.raises(DataError) as error:
        read_clip(path, RATE, **options)
    assert all(word in str(error.value) for word in [str(path), *words]), error.value
    assert len(read_clip(path, RATE))


def _with_nan() -> np.ndarray:
    samples = tone(0.5)
    samples[100] = np.nan
    return samples


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (_with_nan(), ["1 samples are NaN", "remove the clip"]),
        (np.zeros(8000), ["silent: its loudest 0.1 s", "at least -80 dB", "remove the clip"]),
        (tone(0.05), ["0.050 s long", "at least 0.1 s", "`min_seconds`"]),
        (np.zeros(0), ["holds no samples", "remove the clip"]),
        (np.full(8000, 0.2), ["silent: its loudest 0.1 s", "remove the clip"]),
        (10 ** ((SILENCE_DB - 1) / 20) * tone(0.5) / 0.3536, ["silent: its loudest 0.1 s have -81 dB"]),
        (np.stack([tone(0.5), -tone(0.5)], 1), ["cancel to silence", "remove the clip"]),
        (np.stack([tone(0.5), 1e-5 - tone(0.5)], 1), ["cancel to silence", "remove the clip"]),
    ],
)
def test_useless_samples_are_refused(tmp_path, samples, words):
    path = write(tmp_path / "a.wav", samples, subtype="FLOAT")
    with pytest.raises(DataError) as error:
        read_clip(path, RATE)
    assert all(word in str(error.value) for word in [str(path), *words]), error.value


@pytest.mark.parametrize("extension", ["wav", "ogg", "flac", "mp3"])
def test_truncated_file_is_refused(tmp_path, extension):
    path = write(tmp_path / f"a.{extension}", np.random.default_rng(0).normal(0, 0.1, 3 * RATE))
    assert len(read_clip(path, RATE))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=rf"a\.{extension}: (truncated|not readable).*remove the clip"):
        read_clip(path, RATE)


def test_missing_empty_and_foreign_files(tmp_path):
    with pytest.raises(DataError, match=r"a\.wav: audio file not found; correct its path"):
        read_clip(tmp_path / "a.wav", RATE)
    (tmp_path / "a.wav").touch()
    with pytest.raises(DataError, match=r"a\.wav: audio file is empty.*remove the clip"):
        read_clip(tmp_path / "a.wav", RATE)
    (tmp_path / "a.wav").write_text("this is no sound\n" * 100)
    with pytest.raises(DataError, match=r"a\.wav: not readable as audio.*remove the clip"):
        read_clip(tmp_path / "a.wav", RATE)


def test_no_samples_are_told_without_the_decoder_too(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DataError, match=r"a\.wav: its header says that it is empty, or shorter than it is"):
        read_clip(write(tmp_path / "a.wav", np.zeros(0)), RATE)


def test_silence_is_shortened_not_sound():
    gap = np.zeros(RATE)
    clip = np.concatenate([gap, tone(0.5), gap, tone(0.3), gap]).astype(np.float32)
    short = shorten_silence(clip, RATE, top_db=40, max_silence=0.2)
    frames = 0.05 * RATE  # the level is measured over 40 ms
    assert abs(len(short) - (0.5 + 0.2 + 0.3) * RATE) < 4 * frames
    assert np.isclose(np.sum(short**2), np.sum(clip**2), rtol=1e-3)
    assert np.array_equal(shorten_silence(tone(0.5), RATE, 40, 0.2), tone(0.5))


def test_short_pauses_stay():
    clip = np.concatenate([tone(0.3), np.zeros(1600), tone(0.3)])
    assert np.array_equal(shorten_silence(clip, RATE, 40, 0.2), clip)


def test_quiet_clips_and_offsets_stay_as_they_are(tmp_path):
    """One event above the level is enough, however long the silence around it; training hears clips as they are."""
    quiet = np.zeros(20 * RATE)
    quiet[RATE : RATE + 3200] = 10 ** ((SILENCE_DB + 1) / 20) * tone(0.2) / 0.3536
    assert len(read_clip(write(tmp_path / "a.wav", quiet, subtype="FLOAT"), RATE)) == 20 * RATE
    clip = read_clip(write(tmp_path / "b.wav", tone(0.5) + 0.3, subtype="FLOAT"), RATE)
    assert np.allclose(clip, tone(0.5) + 0.3, atol=1e-6)


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "mp3"])
def test_blocks_are_the_file(tmp_path, extension):
    path = tmp_path / f"a.{extension}"
    with soundfile.SoundFile(path, "w", RATE, 2) as file:
        for seed in range(3):
            file.write(np.random.default_rng(seed).normal(0, 0.1, (BLOCK // 2, 2)))
    blocks = list(open_stream(path).blocks)
    assert len(blocks) > 1 and max(map(len, blocks)) <= BLOCK
    with soundfile.SoundFile(path) as file:
        assert np.array_equal(np.concatenate(blocks), file.read(dtype="float32"))


def write_aac(
    path: Path, rate: int = 44100, layout: str = "stereo", title: str = "", seconds: float = 1.0, tracks: int = 1
) -> Path:  # fmt: skip
    channels = 1 if layout == "mono" else 2
    samples = np.random.default_rng(0).normal(0, 0.1, (channels, round(seconds * rate))).astype("f")
    with av.open(str(path), "w") as container:
        if title:
            container.metadata["title"] = title
        for stream in [container.add_stream("aac", rate=rate, layout=layout) for _ in range(tracks)]:
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
            frame.sample_rate = rate
            container.mux([*stream.encode(frame), *stream.encode(None)])
    return path


def test_of_several_audio_tracks_none_is_chosen_in_silence(tmp_path):
    assert len(read_clip(write_aac(tmp_path / "one.m4a"), RATE))
    with pytest.raises(DataError, match=r"two\.m4a: has 2 audio streams; take one out of it or remove the clip"):
        read_clip(write_aac(tmp_path / "two.m4a", tracks=2), RATE)


@pytest.mark.parametrize("second", [{"rate": 22050}, {"layout": "mono"}])
def test_aac_that_changes_within_the_file_is_refused(tmp_path, second):
    first, other = write_aac(tmp_path / "a.aac"), write_aac(tmp_path / "b.aac", **second)
    assert abs(len(read_clip(first, RATE)) / RATE - 1) < 0.1 and len(read_clip(other, RATE))
    joined = tmp_path / "joined.aac"
    joined.write_bytes(first.read_bytes() + other.read_bytes())
    with pytest.raises(DataError, match=r"joined\.aac: changes from .* Hz to .* Hz after .* s; convert it to one kind"):
        read_clip(joined, RATE)
    joined.write_bytes(first.read_bytes() * 2)
    assert abs(len(read_clip(joined, RATE)) / RATE - 2) < 0.1


def test_metadata_and_names_of_any_bytes(tmp_path):
    """Titles that are not UTF-8, names that are not, and names that look like addresses."""
    path = write_aac(tmp_path / "12:30.m4a", title="Z" * 12)
    data = path.read_bytes()
    assert data.count(b"Z" * 12) == 1
    path.write_bytes(data.replace(b"Z" * 12, b"caf\xe9 \xff\xfe\xe9\xe9\xe9\xe9\xe9"))
    expected = read_clip(path, RATE)
    assert abs(len(expected) / RATE - 1) < 0.1
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.m4a"))
    try:
        path.rename(odd)
    except OSError:
        pytest.skip("this file system has no such names")
    assert np.array_equal(read_clip(odd, RATE), expected)
    with pytest.raises(DataError, match=r"wav\.scp: .*caf\\udce9\.m4a.* is not UTF-8; rename that file"):
        write_datadir(tmp_path / "data", [Clip("a", str(odd), ("a",), ("a",), "a")])
    assert not (tmp_path / "data" / "wav.scp").exists()
