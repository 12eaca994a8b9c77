"""What verbs print, with a model that is not read from disk: what the same questions in Python give."""

import csv
import io
import json
import shlex
import sys

import numpy as np
import pytest
import soundfile
from programs import run
from small_clap import ANY_ARRAY, Echo, small_clap

from spclap import cli
from spclap.data.stream import open_stream
from spclap.doctor import examine
from spclap.inference import SpatialCLAP
from spclap.space.directions import DIRECTIONS
from spclap.verbs import given

RATE = 16000
SOUNDS = ["a dog", "rain", "a bell"]
LISTENING = ("embed", "classify", "locate", "timeline", "caption")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> SpatialCLAP:
    model = small_clap(tmp_path_factory.mktemp("text"), ANY_ARRAY)
    model.captioner, model.vocabulary = Echo(), ["a cat", "thunder"]
    return model


@pytest.fixture(autouse=True)
def asked(model, monkeypatch) -> list:
    """Models that verbs ask for: name, device and revision."""
    names = []
    monkeypatch.setattr(SpatialCLAP, "from_pretrained", lambda *args: names.append(args) or model)
    return names


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list:
    """Two recordings, of 1.5 and 2.5 s."""
    folder = tmp_path_factory.mktemp("files")
    for seed, name in enumerate(("a.wav", "b.flac")):
        plain = 0.1 * np.random.default_rng(seed).standard_normal(round((1.5 + seed) * RATE))
        soundfile.write(folder / name, np.stack([plain, np.roll(plain, 4)], axis=1), RATE)
    return sorted(folder.iterdir())


def spclap(*words) -> tuple[int, str, str]:
    ended = run("spclap.cli", *words)
    return ended.returncode, ended.stdout, ended.stderr


def parsed(*words) -> object:
    code, out, err = spclap(*words, "--json")
    assert code == 0, err
    return json.loads(out)


def test_json_is_what_python_gives(model, files):
    vectors = parsed("embed", *files, "--text", *SOUNDS)
    audio, text = model.embed_audio(files), model.embed_text(SOUNDS)
    assert vectors["files"] == list(map(str, files)) and vectors["captions"] == SOUNDS
    np.testing.assert_allclose(vectors["audio"], audio, atol=1e-6)
    np.testing.assert_allclose(vectors["cosines"], audio @ text.T, atol=1e-5)
    assert set(parsed("embed", files[0])) == {"files", "audio"}
    alone = [(str(file), model.classify(file, SOUNDS)) for file in files]
    assert parsed("classify", *files, "--what", *SOUNDS) == [{"file": f, "sounds": rows} for f, rows in alone]
    there = model.classify(files[0], SOUNDS, "right", "the sound of {}")
    (found,) = parsed(
        "classify", files[0], "--where", "right", "--template", "the sound of {}", "--top", 2, "--what", *SOUNDS
    )
    assert found["sounds"] == there[:2]
    placed = parsed("locate", *files, "--what", *SOUNDS[:2])
    for sound in SOUNDS[:2]:  # read together with others, words differ in their last bits
        assert placed[1]["sounds"][sound] == pytest.approx(model.locate(files[1], sound), abs=1e-6)
    said = parsed("caption", files[1])
    assert said[0]["windows"] == [
        dict(zip(("start", "end", "caption"), part, strict=True)) for part in model.caption_windows(files[1])
    ]
    (report,) = parsed("doctor", files[0])
    assert report["level_db"] == examine(open_stream(files[0])).level_db and report["file"] == str(files[0])


def test_tables_say_the_same(model, files):
    code, out, err = spclap("classify", *files, "--what", *SOUNDS)
    rows = [line.strip("| ").split(" | ") for line in out.splitlines()[2:]]
    expected = [
        [str(file), f"{row['score']:.3f}", row["label"], row["where"]]
        for file in files
        for row in model.classify(file, SOUNDS)
    ]
    assert code == 0 and rows == expected
    code, out, err = spclap("locate", files[0], "--what", "rain")
    places = model.locate(files[0], "rain")
    line = " | ".join([str(files[0]), "rain", *(f"{100 * places[direction]:.0f}" for direction in DIRECTIONS)])
    assert code == 0 and out.splitlines()[-1] == f"| {line} |"


def test_timeline_as_csv_json_and_picture(model, files, tmp_path):
    options = ["--what", *SOUNDS, "--window", 1, "--hop", 0.5]
    code, out, err = spclap("timeline", files[1], *options)
    assert code == 0, err
    rows = list(csv.DictReader(io.StringIO(out)))
    cells = parsed("timeline", files[1], *options)
    assert len(rows) == len(cells) == 5 * 4
    for row, cell in zip(rows, cells, strict=True):
        assert float(row["start"]) == cell["start"] and row["direction"] == cell["direction"]
        assert (row["label"] or None) == cell["label"]
        assert row["score"] == ("" if cell["score"] is None else f"{cell['score']:.3f}")
    code, out, err = spclap(
        "timeline", files[1], *options, "--csv", tmp_path / "t.csv", "--picture", tmp_path / "t.png"
    )
    assert code == 0 and out == "" and list(csv.DictReader((tmp_path / "t.csv").open())) == rows
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")
    known = parsed("timeline", files[0])
    assert {cell["label"] for cell in known} <= {"a cat", "thunder", None}
    assert {row["label"] for row in parsed("classify", files[0])[0]["sounds"]} == {"a cat", "thunder"}


@pytest.mark.parametrize("verb", [*LISTENING, "doctor"])
def test_standard_input_is_a_file(verb, files, monkeypatch):
    more = {"embed": ["--text", "dog"], "classify": ["--what", "dog"], "locate": ["--what", "dog"]}.get(verb, [])
    plain = parsed(verb, files[0], *more)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(files[0].read_bytes())))
    piped = parsed(verb, "-", *more)
    assert json.dumps(piped) == json.dumps(plain).replace(json.dumps(str(files[0])), '"-"')
    same = io.BytesIO()
    soundfile.write(same, np.repeat(soundfile.read(files[0])[0][:, :1], 2, axis=1), RATE, format="WAV")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(same.getvalue())))
    _, out, err = spclap(verb, "-", *more)
    assert verb == "doctor" or "standard input: both channels are the same" in err
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"no sound")))
    code, out, err = spclap(verb, "-", *more)
    assert code == 1 and out == "" and "error: standard input: not readable as audio" in err


def test_the_model_is_the_released_one_if_none_is_named(asked, files):
    spclap("embed", files[0], "--text", "dog")
    spclap("locate", files[0], "--what", "dog", "--model", "me/model", "--revision", "v2", "--device", "cpu")
    assert asked == [(None, "cpu", None), ("me/model", "cpu", "v2")]


@pytest.mark.parametrize("verb", [*LISTENING, "doctor"])
def test_help_ends_with_an_example_that_works(verb, files, tmp_path, monkeypatch):
    code, out, _ = spclap(verb, "--help")
    *_, ends, example = out.strip().splitlines()
    assert code == 0 and ends.startswith("exit code: 0;") and example.startswith(f"example: spclap {verb} ")
    monkeypatch.chdir(tmp_path)
    words = shlex.split(example.removeprefix("example: spclap "))
    assert words[1] == str(given.EXAMPLE)
    into = [str(tmp_path / word) if word.endswith((".npz", ".png")) else word for word in words]
    code, out, err = spclap(*(str(files[0]) if word == words[1] else word for word in into))
    assert code == 0 and out, err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["embed", "FILE"], "nothing to show"),
        (["embed", "FILE", "--text", "dog", "FILE"], "--text takes words, and"),
        (["classify", "FILE", "--what", "dog", "FILE"], "--what takes words, and"),
        (["classify", "FILE", "--what", "dog", "dog"], "label `dog` stands 2 times"),
        (["classify", "FILE", "--what", "dog", "--template", "sound"], "it must have one {}"),
        (["classify", "FILE", "--what", "dog", "--top", "0"], "--top is 0"),
        (["classify", "FILE", "--where", "west"], "invalid choice: 'west'"),
        (["locate", "FILE"], "arguments are required: --what"),
        (["locate", "FILE", "--what", ""], "label '' is not a text"),
        (["timeline", "FILE", "--hop", "3"], "window is 1.0 s, hop 3.0 s"),
        (["timeline", "FILE", "--window", "nan"], "window is nan s"),
        (["timeline", "FILE", "FILE"], "unrecognized arguments"),
        (["doctor", "FILE", "--direction", "west"], "where is 'west'; give one of left"),
        (["caption"], "arguments are required: FILE"),
        (["classify", "FILE", "--array", "quad"], "array `quad` is none of"),
        (["embed", "FILE", "--text", " "], "not a text"),
        (["index", "FILE", "--out", "i", "--array", "quad"], "array `quad` is none of"),
        (["demo", "--port", "70000"], "a port is 1 to 65535"),
    ],
)
def test_a_command_that_makes_no_sense_ends_with_2(words, message, files):
    code, out, err = spclap(*(files[0] if word == "FILE" else word for word in words))
    assert code == 2 and message in err and out == ""


@pytest.mark.parametrize("words", [["embed", "--out"], ["timeline", "--csv"], ["timeline", "--picture"]])
def test_no_recording_is_overwritten(words, files, tmp_path):
    verb, option = words
    mine, plain = tmp_path / "mine.wav", tmp_path / "recording"
    for path in (mine, plain):
        path.write_bytes(files[0].read_bytes())
    for heard, written in ((files[0], mine), (mine, mine), (plain, plain), (files[0], tmp_path / "new.flac")):
        code, out, err = spclap(verb, heard, option, written)
        assert code == 2 and "is a recording, which would be overwritten; give another name" in err and out == ""
    code, out, err = spclap(verb, files[0], option, tmp_path)
    assert code == 2 and "is a folder; give a file in it" in err
    assert mine.read_bytes() == plain.read_bytes() == files[0].read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.wav", "recording"]


def test_every_verb_has_help_with_an_example(capsys):
    (verbs,) = [action.choices for action in cli.parser()._actions if hasattr(action, "choices") and action.choices]
    for name, verb in verbs.items():
        assert f"spclap {name}" in verb.format_help().split("example: ")[-1], name
