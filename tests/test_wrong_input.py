"""The wrong input is the usual input: every verb has a result or one line, as docs/own_recordings.md says."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from programs import ROOT, run
from small_clap import ANY_ARRAY, Echo, small_clap

from spclap.inference import SpatialCLAP

VERBS = {
    "embed": ["--text", "dog"], "classify": ["--what", "dog", "rain"], "locate": ["--what", "dog"],
    "timeline": ["--what", "dog", "rain"], "caption": [], "doctor": [],
}  # fmt: skip
PAGE = ROOT / "docs" / "own_recordings.md"


def sound(rate: int = 16000, seconds: float = 1.5) -> np.ndarray:
    """(samples, 2): a noise from one side."""
    plain = 0.1 * np.random.default_rng(0).standard_normal(round(seconds * rate))
    return np.stack([plain, np.roll(plain, max(rate // 4000, 1))], axis=1)


def wav(path: Path, samples: np.ndarray, rate: int = 16000, **kind) -> None:
    soundfile.write(path, samples, rate, **kind)


def m4a(path: Path) -> None:
    import av

    with av.open(str(path), "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=44100, layout="stereo")
        frame = av.AudioFrame.from_ndarray(sound(44100).T.astype("f4").copy(), format="fltp", layout="stereo")
        frame.sample_rate = 44100
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=44100, frame_size=1024)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))


def nan(path: Path) -> None:
    samples = sound()
    samples[100] = np.nan
    wav(path, samples, subtype="FLOAT")


HEARD, EQUAL = "", "both channels are the same, so no place can be told"
SILENT = "the right channel is silent, so all seems to be on the left"
KINDS = {  # of the page: how it is made, its name, and what is said of it; doctor, where it says something else
    "mono": (lambda path: wav(path, sound()[:, 0]), "a.wav", "1 channel(s), expected 2", "mono: one channel"),
    "left on both channels": (lambda path: wav(path, sound()[:, [0, 0]]), "a.wav", EQUAL, "equal: both channels"),
    "one channel silent": (lambda path: wav(path, sound() * [1, 0]), "a.wav", SILENT, "one silent: channel 1"),
    "5.1": (lambda path: wav(path, sound()[:, [0, 1] * 3]), "a.wav", "6 channel", None),
    "silence": (lambda path: wav(path, 0 * sound()), "a.wav", "silent: its loudest 0.1 s", "silent: nothing is above"),
    "8 bits": (lambda path: wav(path, sound(), subtype="PCM_U8"), "a.wav", HEARD, HEARD),
    "8 kHz": (lambda path: wav(path, sound(8000), 8000), "a.wav", HEARD, "rate: 8000 Hz"),
    "44.1 kHz": (lambda path: wav(path, sound(44100), 44100), "a.wav", HEARD, HEARD),
    "192 kHz": (lambda path: wav(path, sound(192000), 192000, subtype="PCM_24"), "a.wav", HEARD, HEARD),
    "MP3": (lambda path: wav(path, sound(44100), 44100, format="MP3"), "a.mp3", HEARD, HEARD),
    "Opus": (lambda path: wav(path, sound(48000), 48000, format="OGG", subtype="OPUS"), "a.opus", HEARD, HEARD),
    "M4A": (m4a, "a.m4a", HEARD, HEARD),
    "0.05 s": (lambda path: wav(path, sound(seconds=0.05)), "a.wav", "0.050 s", None),
    "NaN": (nan, "a.wav", "NaN or infinite; replace it", None),
    "text called .wav": (lambda path: path.write_text("no sound " * 99), "a.wav", "not readable as audio", None),
    "empty file": (lambda path: path.touch(), "a.wav", "empty (0 bytes)", None),
    "no such file": (lambda path: None, "a.wav", "audio file not found", None),
}
REFUSED = {"mono", "5.1", "silence", "0.05 s", "NaN", "text called .wav", "empty file", "no such file"}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> SpatialCLAP:
    model = small_clap(tmp_path_factory.mktemp("text"), ANY_ARRAY)
    model.captioner = Echo()
    return model


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict[str, Path]:
    """A file of each kind."""
    files = {}
    for kind, (make, name, *_) in KINDS.items():
        files[kind] = tmp_path_factory.mktemp("kind") / name
        make(files[kind])
    return files


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_verb_has_a_result_or_one_line(verb, kind, model, made, monkeypatch):
    monkeypatch.setattr(SpatialCLAP, "from_pretrained", lambda *args: model)
    *_, said, in_report = KINDS[kind]
    ended = run("spclap.cli", verb, made[kind], *VERBS[verb])
    known = in_report is not None and verb == "doctor"
    if kind in REFUSED and not known:
        errors = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
        assert ended.returncode == 1 and ended.stdout == "" and len(errors) == 1, ended.stderr
        assert str(made[kind]) in errors[0] and said in errors[0]
    else:
        assert ended.returncode == 0 and ended.stdout, ended.stderr
        assert (in_report in ended.stdout) if known else (said in ended.stderr)
    assert "Traceback" not in ended.stderr


def test_whatever_the_form_the_same_is_heard(model, made):
    plain = model.embed_audio(made["44.1 kHz"])[0]
    cosines = {
        kind: float(model.embed_audio(made[kind])[0] @ plain) for kind in ("192 kHz", "8 bits", "MP3", "Opus", "M4A")
    }
    assert min(cosines.values()) > 0.9, cosines
    channels = np.random.default_rng(1).uniform(-0.1, 0.1, (2, 16000)).astype("f")
    rounded = np.round(channels * 128) / 128
    soundfile.write(made["8 bits"].with_name("r.wav"), rounded.T, 16000, subtype="PCM_U8")
    exact = model.embed_audio(rounded.astype("f"), 16000)
    np.testing.assert_allclose(model.embed_audio(made["8 bits"].with_name("r.wav")), exact, atol=1e-5)


def test_bad_ones_cost_no_good_ones(model, made, monkeypatch):
    monkeypatch.setattr(SpatialCLAP, "from_pretrained", lambda *args: model)
    good = [kind for kind in KINDS if kind not in REFUSED]
    for verb in ("embed", "classify", "locate", "caption"):
        ended = run("spclap.cli", verb, *made.values(), "--json", *VERBS[verb])
        found = json.loads(ended.stdout)
        files = found["files"] if verb == "embed" else [item["file"] for item in found]
        assert ended.returncode == 1 and files == [str(made[kind]) for kind in good]
        assert ended.stderr.count("left out: ") == len(REFUSED)
        assert f"error: {len(REFUSED)} of {len(KINDS)} files are left out" in ended.stderr


@pytest.mark.parametrize(("kind", "said"), [("left on both channels", EQUAL), ("one channel silent", SILENT)])
def test_channels_that_tell_no_place_are_told(kind, said, model, made, caplog, tmp_path):
    sick, good = made[kind], made["8 bits"]
    both = np.concatenate([soundfile.read(sick)[0], soundfile.read(good)[0]])
    soundfile.write(tmp_path / "both.wav", both, 16000)  # a recording of which only a part is so
    for hear in (
        model.embed_audio,
        lambda file: list(model.windows(file)),
        lambda file: list(model.caption_windows(file)),
        lambda file: list(model.timeline(file, ["dog"])),
    ):
        for file in (sick, good, tmp_path / "both.wav"):
            caplog.clear()
            hear(file)
            told = [record.getMessage() for record in caplog.records if said in record.getMessage()]
            assert len(told) == (file == sick) and all(line.startswith(str(sick)) for line in told)


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["embed", "timeline"])
def test_an_hour(verb, model, tmp_path, monkeypatch):
    monkeypatch.setattr(SpatialCLAP, "from_pretrained", lambda *args: model)
    soundfile.write(tmp_path / "a.wav", np.tile(sound(8000, 60), (60, 1)), 8000, subtype="PCM_U8")
    ended = run("spclap.cli", verb, tmp_path / "a.wav", *VERBS[verb], "--json")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert len(found["audio"]) == 1 if verb == "embed" else len(found) == 5 * 3600


def test_the_page_tells_of_each():
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    told = {kind: what for kind, what in rows}
    for kind in KINDS:
        assert told[kind].startswith("refused" if kind in REFUSED else "heard"), kind
    assert told["an hour"].startswith("heard")
