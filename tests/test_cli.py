"""`spclap embed` and `spclap caption`, in this process, with a model that is not read from disk."""

import os
import sys

import numpy as np
import pytest
import soundfile
from small_clap import ANY_ARRAY, Echo, small_clap

from spclap import cli
from spclap.inference import SpatialCLAP

RATE = 16000


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> SpatialCLAP:
    model = small_clap(tmp_path_factory.mktemp("text"))
    model.captioner = Echo()
    return model


@pytest.fixture
def spclap(model, monkeypatch, capsys):
    """Runs the command; exit code, stdout and stderr."""
    monkeypatch.setattr(SpatialCLAP, "from_pretrained", lambda *args: model)

    def run(command, *arguments):
        monkeypatch.setattr(sys, "argv", ["spclap", command, "--model", "m", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as exit:
            code = exit.code
        return code, *capsys.readouterr()

    return run


def wave(seconds: float = 1.0, seed: int = 0) -> np.ndarray:
    """(samples, 2): noise from one side, which reaches channel 1 four samples later."""
    plain = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return np.stack([plain, np.roll(plain, 4)], axis=1)


def write(path, seconds: float = 1.0, seed: int = 0):
    soundfile.write(os.fsencode(path), wave(seconds, seed), RATE)
    return path


def test_good_files_are_kept_and_bad_ones_listed(spclap, model, tmp_path):
    good = [write(tmp_path / "a.wav"), write(tmp_path / "c.wav", seed=1)]
    (tmp_path / "b.wav").write_bytes(b"RIFF and so.")
    files = [good[0], tmp_path / "b.wav", good[1]]
    code, out, err = spclap("embed", *files, "--text", "a dog", "--out", tmp_path / "v.npz")
    assert code == 1 and "left out: " in err and "b.wav: not readable" in err and "1 of 3 files are left out" in err
    stored = np.load(tmp_path / "v.npz")
    assert stored["files"].tolist() == [str(path) for path in good]
    np.testing.assert_allclose(stored["audio"], model.embed_audio(good), atol=1e-6)
    assert len(out.splitlines()) == 4
    code, out, err = spclap("caption", *files)
    assert code == 1 and len(out.splitlines()) == 2 and "1 of 3 files are left out" in err
    for command, more in (("embed", ["--out", tmp_path / "w.npz"]), ("caption", [])):
        code, out, err = spclap(command, files[1], *files, *more, "--strict")
        assert code == 1 and out == "" and "error: " in err and "left out" not in err
        code, out, err = spclap(command, files[1], files[1], *more)
        assert code == 1 and "none of 2 files can be used" in err
    assert not (tmp_path / "w.npz").exists()


def test_a_file_among_the_captions_is_told(spclap, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.wav")
    (tmp_path / "plain").touch()
    for text in ("a.wav", "elsewhere/street.MP3", "plain"):
        code, _, err = spclap("embed", "--text", "a dog", text, "--out", "v.npz")
        assert code == 2 and f"--text takes words, and {text} is a file; put files before --text" in err
    assert not (tmp_path / "v.npz").exists()
    assert spclap("embed", "--text", "a dog, and rain." + "x" * 300, "--out", "v.npz")[0] == 0


def test_names_and_captions_that_break_a_table(spclap, tmp_path):
    path = write(tmp_path / "a|b\nc.wav")
    code, out, err = spclap("embed", path, "--text", "dog | cat", "rain\nfalls")
    assert code == 0, err
    head, _, row = out.splitlines()
    assert head == r"| file | dog \| cat | rain\\nfalls |" and row.startswith(rf"| {tmp_path}/a\|b\\nc.wav | ")
    code, out, _ = spclap("caption", path)
    assert code == 0 and out.startswith(rf"{tmp_path}/a|b\nc.wav: sound ") and len(out.splitlines()) == 1


def test_a_name_that_is_not_utf8(spclap, model, tmp_path):
    name = os.fsencode(tmp_path) + b"/caf\xe9.wav"
    try:
        path = write(os.fsdecode(name))
    except (OSError, soundfile.LibsndfileError):
        pytest.skip("this file system has no such names")
    code, out, err = spclap("embed", path, "--text", "a dog", "--out", tmp_path / "v.npz")
    assert code == 0 and rf"| {tmp_path}/caf\\xe9.wav | " in out, err
    stored = np.load(tmp_path / "v.npz")
    assert os.fsencode(str(stored["files"][0])) == name
    np.testing.assert_array_equal(stored["audio"], model.embed_audio([path]))
    code, out, _ = spclap("caption", path)
    assert code == 0 and out.startswith(rf"{tmp_path}/caf\xe9.wav: sound ")
    os.truncate(name, 100)
    code, _, err = spclap("caption", path, path)
    assert code == 1 and rf"left out: {tmp_path}/caf\xe9.wav: truncated" in err


def test_long_files_are_captioned_window_by_window(spclap, tmp_path):
    sound = wave()
    soundfile.write(tmp_path / "a.wav", np.concatenate([sound, 1e-6 * sound, sound[:8000]]), RATE, subtype="FLOAT")
    code, out, err = spclap("caption", tmp_path / "a.wav")
    assert code == 0, err
    said = [line.removeprefix(f"{tmp_path / 'a.wav'} ").split(": ") for line in out.splitlines()]
    assert [when for when, _ in said] == ["0.0-1.0 s", "1.0-2.0 s", "1.5-2.5 s"]
    assert [text == "(nothing but noise or silence)" for _, text in said] == [False, True, False]
    code, out, err = spclap("caption", "--window", "0.2", tmp_path / "a.wav")
    assert code == 0 and len(out.splitlines()) == 13, err


def test_noise_of_the_microphones_alone_has_no_caption_and_a_line(spclap, tmp_path, caplog):
    noise = 0.1 * np.random.default_rng(0).standard_normal((3 * RATE, 2))
    noise[RATE : 2 * RATE] = wave()
    soundfile.write(tmp_path / "a.wav", noise, RATE)
    code, out, err = spclap("caption", tmp_path / "a.wav")
    assert code == 0, err
    nothing = [line.endswith("(nothing but noise or silence)") for line in out.splitlines()]
    assert nothing == [True, False, True]
    soundfile.write(tmp_path / "b.wav", noise[:RATE], RATE)
    code, out, err = spclap("embed", tmp_path / "a.wav", tmp_path / "b.wav", "--text", "a dog")
    assert code == 0 and len(out.splitlines()) == 4
    assert [record.getMessage() for record in caplog.records] == [f"{tmp_path / 'b.wav'}: nothing but noise is heard"]
    assert spclap("caption", "--window", "5", tmp_path / "a.wav")[0] == 0


@pytest.mark.parametrize("wrong", [("--window", x) for x in ("nan", "inf", "0.05", "0", "-1")] + [("--beams", "0")])
def test_options_that_make_no_sense_are_refused(spclap, tmp_path, wrong):
    code, out, err = spclap("caption", *wrong, write(tmp_path / "a.wav"))
    assert code == 2 and out == "" and ("must be 0.1 s or more" in err or "--beams is 0; it must be 1 or more" in err)
    assert err.rstrip().endswith("`spclap caption --help` has an example")


def test_the_array_of_recordings_is_told(spclap, model, tmp_path, monkeypatch):
    monkeypatch.setattr(model, "clap", small_clap(tmp_path / "text", ANY_ARRAY).clap)
    file = write(tmp_path / "a.wav")
    for array in ("ortf", "sphere:0.1"):
        code, out, err = spclap("embed", file, "--out", tmp_path / "v.npz", "--array", array)
        assert code == 0, err
        expected = model.embed_audio([file], array=array)
        np.testing.assert_array_equal(np.load(tmp_path / "v.npz")["audio"], expected)
        code, out, err = spclap("caption", file, "--array", array)
        assert code == 0 and f"sound {float(expected[0, 0]):.4f}" in out, err
    code, _, err = spclap("embed", file, "--out", tmp_path / "w.npz", "--array", "mono")
    assert code == 2 and "array `mono` is none of: ortf" in err and not (tmp_path / "w.npz").exists()
