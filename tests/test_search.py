"""Indexes of folders of recordings, and what is found in them."""

import json
import os
import shutil
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from small_clap import ANY_ARRAY, small_clap

from spclap import cli
from spclap.data.lock import lock_folder
from spclap.errors import DataError
from spclap.inference import SpatialCLAP
from spclap.search import Index, build, update
from spclap.search.hearing import ahead
from spclap.search.listing import File, Listing
from spclap.search.shards import Shards

RATE = 16000
DIM = 24


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> SpatialCLAP:
    return small_clap(tmp_path_factory.mktemp("text"), ANY_ARRAY)


def wave(seconds: float = 1.0, seed: int = 0) -> np.ndarray:
    """(samples, 2): noise from one side."""
    plain = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return np.stack([plain, 0.6 * np.roll(plain, seed % 8)], axis=1)


def write(path: Path, seconds: float = 1.0, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave(seconds, seed), RATE, format="WAV")
    return path


@pytest.fixture
def library(tmp_path) -> Path:
    """Seven recordings, two of them the same."""
    folder = tmp_path / "library"
    for seed, (name, seconds) in enumerate(
        {"a.wav": 1.0, "b.wav": 3.3, "far/c.WAV": 0.4, "far/off/d.wav": 2.0, "e.wav": 1.0, "z.wav": 1.0}.items()
    ):
        write(folder / name, seconds, seed)
    shutil.copy(folder / "a.wav", folder / "far" / "a2.wav")
    (folder / "notes.txt").write_text("no recording")
    write(folder / ".trash" / "old.wav", seed=9)
    write(folder / "._a.wav", seed=9)
    return folder


def same_as_the_model(index: Index, model: SpatialCLAP, names: set[str], array: str, window: float) -> None:
    """Every window of these recordings, and nothing else, has the vector that the model gives."""
    hits = index.search(np.ones(index.listing.dim), top=10**6, every_window=True)[0]
    folder = Path(index.listing.folder)
    assert {hit.path for hit in hits} == {str(folder / name) for name in names}
    query = np.ones(index.listing.dim) / np.sqrt(index.listing.dim)
    for name in names:
        expected = [one for one in model.windows(folder / name, window=window, array=array) if one.vector is not None]
        found = sorted((hit for hit in hits if hit.path == str(folder / name)), key=lambda hit: hit.start)
        assert [(hit.start, hit.end, hit.something) for hit in found] == [
            (one.start, one.end, one.something) for one in expected
        ]
        np.testing.assert_allclose([hit.score for hit in found], [one.vector @ query for one in expected], atol=2e-3)


ALL = {"a.wav", "b.wav", "far/c.WAV", "far/off/d.wav", "e.wav", "z.wav", "far/a2.wav"}


@pytest.mark.parametrize(("array", "window"), [("pair:0.17", 1.0), ("ortf", 1.7), ("xy:90", 0.3)])
def test_an_index_has_what_the_model_hears(model, library, tmp_path, array, window):
    report = update(tmp_path / "i", library, model, array, window)
    assert (report.files, report.heard, report.gone, report.bad) == (7, 6, 0, {})
    index = Index.open(tmp_path / "i", model)
    assert index.unheard == [] and report.windows == Shards(tmp_path / "i", model.clap.dim).count
    same_as_the_model(index, model, ALL, array, window)


def test_what_sounds_like_a_recording_is_heard_as_the_index_was(model, library, tmp_path):
    update(tmp_path / "i", library, model, "xy:90")
    index = Index.open(tmp_path / "i", model)
    samples, rate = soundfile.read(library / "e.wav", dtype="float32")
    through = {array: index.search(model.embed_audio(library / "e.wav", array=array)) for array in ("xy:90", None)}
    assert index.like(library / "e.wav") == index.like(samples.T, sample_rate=rate) == through["xy:90"] != through[None]
    (own,) = [hit for hit in through["xy:90"][0] if hit.path == str(library / "e.wav")]
    assert own.score == pytest.approx(1, abs=2e-3)
    assert len(index.like([library / "e.wav", library / "b.wav"], top=2, every_window=True)) == 2


def test_a_folder_that_may_not_be_read_keeps_what_was_heard_of_it(model, library, tmp_path, monkeypatch):
    out = tmp_path / "i"
    update(out, library, model)
    scan = os.scandir

    def refusing(path="."):
        if os.fspath(path) == str(library / "far"):
            raise PermissionError(13, "Permission denied", str(library / "far"))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    report = update(out, library, model)
    assert report.bad == {"far": f"{library / 'far'}: cannot be read: Permission denied; allow it or move it away"}
    assert (report.heard, report.gone) == (0, 0)
    monkeypatch.undo()
    same_as_the_model(Index.open(out, model), model, ALL, "pair:0.17", model.scene_seconds)
    assert update(out, library, model).heard == 0


def test_only_what_is_new_is_heard(model, library, tmp_path, monkeypatch):
    out, heard = tmp_path / "i", []
    hear = build.hear

    def watched(model, files, array, window):
        heard.append(sorted(str(path.relative_to(library)) for path in files))
        return hear(model, files, array, window)

    monkeypatch.setattr(build, "hear", watched)
    update(out, library, model, "ortf", 0.5)
    os.utime(library / "b.wav", (1, 1))  # another time, the same content
    (library / "far" / "off" / "d.wav").rename(library / "d.wav")
    write(library / "e.wav", 1.0, 77)
    write(library / "new.wav", 1.0, 78)
    (library / "z.wav").unlink()
    report = update(out, library, model)  # array and window are those of the index
    assert heard[1] == ["e.wav", "new.wav"] and (report.files, report.heard, report.gone) == (7, 2, 2)
    names = ALL - {"z.wav", "far/off/d.wav"} | {"d.wav", "new.wav"}
    same_as_the_model(Index.open(out, model), model, names, "ortf", 0.5)
    assert update(out, library, model).heard == 0 and heard[2] == []


def test_a_change_that_keeps_size_and_time_is_seen(model, library, tmp_path):
    update(tmp_path / "i", library, model)
    before = (library / "a.wav").stat()
    write(library / "a.wav", 1.0, 55)
    os.utime(library / "a.wav", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (library / "a.wav").stat().st_size == before.st_size
    assert update(tmp_path / "i", library, model).heard == 1


def test_hits_say_what_became_of_their_files(model, library, tmp_path):
    update(tmp_path / "i", library, model)
    write(library / "a.wav", 1.0, 55)
    (library / "b.wav").unlink()
    os.utime(library / "e.wav", (1, 1))
    (hits,) = Index.open(tmp_path / "i", model).search("a dog", top=100)
    told = {Path(hit.path).relative_to(library).as_posix(): hit.file for hit in hits}
    assert told == dict.fromkeys(ALL, "same") | {"a.wav": "changed", "b.wav": "gone"}


def test_a_bad_file_costs_itself_alone(model, library, tmp_path):
    (library / "bad.wav").write_text("a text file")
    shutil.copy(library / "bad.wav", library / "bad copy.wav")
    whole = write(library / "cut.wav", 5.0, 20).read_bytes()
    (library / "cut.wav").write_bytes(whole[:-1000])
    soundfile.write(library / "mono.wav", wave()[:, 0], RATE)
    soundfile.write(library / "silent.wav", 0 * wave(2.0), RATE)
    sound = wave(1.0, 3)
    soundfile.write(library / "nan.wav", np.concatenate([sound, sound * np.nan]), RATE, subtype="FLOAT")
    report = update(tmp_path / "i", library, model)
    assert set(report.bad) == {"bad.wav", "bad copy.wav", "cut.wav", "mono.wav", "silent.wav", "nan.wav"}
    assert (report.files, report.heard) == (13, 6)
    for name, reason in report.bad.items():
        assert reason.startswith(f"{library / name}: ") and "\n" not in reason
    index = Index.open(tmp_path / "i", model)
    assert set(index.unheard) == set(report.bad)
    same_as_the_model(index, model, ALL, "pair:0.17", 1.0)
    assert set(update(tmp_path / "i", library, model).bad) == set(report.bad)
    shutil.copy(library / "z.wav", library / "bad.wav")
    shutil.copy(library / "z.wav", library / "bad copy.wav")
    assert set(update(tmp_path / "i", library, model).bad) == {"cut.wav", "mono.wav", "silent.wav", "nan.wav"}


def test_a_file_that_changes_while_it_is_heard_is_left_out(model, library, tmp_path, monkeypatch):
    hear = build.hear

    def meanwhile(*args):
        for path, found in hear(*args):
            if path.name == "b.wav":
                write(path, 3.3, 66)
            yield path, found

    monkeypatch.setattr(build, "hear", meanwhile)
    report = update(tmp_path / "i", library, model)
    assert list(report.bad) == ["b.wav"] and "changed while it was heard; run again" in report.bad["b.wav"]
    monkeypatch.setattr(build, "hear", hear)
    assert update(tmp_path / "i", library, model).bad == {}
    same_as_the_model(Index.open(tmp_path / "i", model), model, ALL, "pair:0.17", 1.0)


def test_silence_has_no_vector_and_noise_is_marked(model, tmp_path):
    noise = 0.1 * np.random.default_rng(0).standard_normal((RATE, 2))
    (tmp_path / "l").mkdir()
    soundfile.write(tmp_path / "l" / "a.wav", np.concatenate([wave(), 1e-6 * wave(), noise]), RATE, subtype="FLOAT")
    assert update(tmp_path / "i", tmp_path / "l", model).windows == 2
    (hits,) = Index.open(tmp_path / "i", model).search("a dog", every_window=True)
    assert {hit.start: hit.something for hit in hits} == {0.0: True, 2.0: False}


def test_settings_that_an_index_was_not_made_with_are_refused(model, library, tmp_path):
    out = tmp_path / "i"
    update(out, library, model)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    other = small_clap(tmp_path / "text", ANY_ARRAY)
    with torch.no_grad():
        next(other.clap.text_encoder.parameters()).add_(1e-3)  # all that hears is the same
    for kwargs, message in (
        ({"model": other}, "model .*: the index was made with .* digest [0-9a-f]{12}; give that one"),
        ({"array": "ortf"}, "array is ortf, the index was made with pair:0.17; give that, or another --out"),
        ({"window": 2.0}, "window is 2.0, the index was made with 1.0"),
        ({"window": 0.0}, "window is 0.0 s; it must be 0.1 to 60 s"),
        ({"window": float("nan")}, "window is nan s"),
        ({"folder": library / "far"}, "the index is of .*library; give another --out"),
        ({"folder": tmp_path / "nowhere"}, "nowhere: not a folder"),
    ):
        with pytest.raises(DataError, match=message):
            update(**{"out": out, "folder": library, "model": model} | kwargs)
    with pytest.raises(DataError, match="the index was made with"):
        Index.open(out, other)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    with lock_folder(out), pytest.raises(DataError, match="is being written by process"):
        update(out, library, model)
    library.rename(tmp_path / "moved")
    report = update(out, tmp_path / "moved", model)
    assert (report.heard, report.gone) == (0, 0)
    same_as_the_model(Index.open(out, model), model, ALL, "pair:0.17", 1.0)


def test_folders_that_are_no_index_are_left_as_they_are(model, library, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: has no recordings \(.wav .flac"):
        update(tmp_path / "i", tmp_path / "empty", model)
    assert not (tmp_path / "i").exists()
    with pytest.raises(DataError, match="library: is there already and no index"):
        update(library, library, model)
    with pytest.raises(DataError, match="library/index.json: not found; `spclap index DIR"):
        Index.open(library)
    soundfile.write(tmp_path / "empty" / "mono.wav", wave()[:, 0], RATE)
    assert len(update(tmp_path / "i", tmp_path / "empty", model).bad) == 1
    with pytest.raises(DataError, match="i: has no vectors yet"):
        Index.open(tmp_path / "i")


def test_a_folder_that_is_empty_now_does_not_empty_its_index(model, library, tmp_path):
    update(tmp_path / "i", library, model)
    kept = tmp_path / "kept"
    library.rename(kept)
    library.mkdir()
    with pytest.raises(DataError, match="has no recordings"):
        update(tmp_path / "i", library, model)
    library.rmdir()
    kept.rename(library)
    assert update(tmp_path / "i", library, model).heard == 0


def test_damaged_indexes_are_told(model, library, tmp_path):
    out = tmp_path / "i"
    update(out, library, model)
    listing, shard = out / "index.json", out / "000000.safetensors"
    text, content = listing.read_text(), shard.read_bytes()
    for wrong, message in (
        (text[:-20], "index.json: damaged"),
        ("[]", "index.json: damaged"),
        (text.replace('"format": 1', '"format": 2'), "format 2, this version reads 1"),
    ):
        listing.write_text(wrong)
        with pytest.raises(DataError, match=message):
            Index.open(out)
    listing.write_text(text)
    for wrong in (content[:-10], b"", b"\0" * len(content)):
        shard.write_bytes(wrong)
        with pytest.raises(DataError, match="000000.safetensors: damaged: .*delete it and run"):
            Index.open(out)
    shard.unlink()
    assert update(out, library, model).heard == 6
    same_as_the_model(Index.open(out, model), model, ALL, "pair:0.17", 1.0)


def test_items_are_made_ahead_in_their_order():
    made = []

    def items():
        for number in range(100):
            made.append(number)
            yield number

    assert list(ahead(items(), 5)) == list(range(100))
    made.clear()
    waiting = ahead(items(), 5)
    assert next(waiting) == 0
    deadline = time.time() + 10
    while len(made) < 6 and time.time() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert made == list(range(6))
    threads = threading.active_count()
    waiting.close()
    assert threading.active_count() == threads - 1

    def failing():
        yield 1
        raise KeyError("here")

    waiting = ahead(failing(), 5)
    assert next(waiting) == 1
    with pytest.raises(KeyError, match="here"):
        next(waiting)


@pytest.fixture
def spclap(model, monkeypatch, capsys):
    """Runs the command; exit code, stdout and stderr."""
    monkeypatch.setattr(SpatialCLAP, "from_pretrained", lambda *args: model)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["spclap", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as exit:
            code = exit.code
        return code, *capsys.readouterr()

    return run


def test_the_commands(spclap, model, library, tmp_path, caplog):
    out = tmp_path / "i"
    code, said, err = spclap("index", library, "--out", out, "--array", "ortf")
    assert code == 0 and said == f"{out}: 7 recordings, 10 windows; 6 heard now, 0 gone, 0 left out\n", err
    code, said, err = spclap("search", out, "a dog", "--top", "3")
    (hits,) = Index.open(out, model).search("a dog", 3)
    expected = [f"{hit.score:.3f} {hit.path} {hit.start:.1f}-{hit.end:.1f} s" for hit in hits]
    assert code == 0 and said.splitlines() == expected, err
    code, said, err = spclap("search", out, "a dog", "--top", "100", "--every-window", "--json")
    assert code == 0 and len(json.loads(said)) == 11, err
    assert set(json.loads(said)[0]) == {"path", "start", "end", "score", "something", "file"}

    Path(hits[0].path).unlink()
    (library / "bad\n.wav").write_text("a text file")
    code, said, err = spclap("search", out, "a dog", "--top", "1")
    assert code == 0 and said.splitlines() == [f"{expected[0]} (since then gone)"]
    code, said, err = spclap("index", library, "--out", out, "--json")
    report = json.loads(said)
    assert code == 1 and report["gone"] == 1 and list(report["bad"]) == ["bad\n.wav"]
    assert "left out: " in err and "error: 1 of 7 recordings are left out, see above; the others are done" in err
    code, said, err = spclap("search", out, "a dog")
    assert code == 0 and "1 recordings were not heard, such as bad\\n.wav" in caplog.text
    code, said, err = spclap("search", library, "a dog")
    assert code == 1 and said == "" and "error: " in err and len(err.splitlines()) == 1


def test_a_listing_keeps_names_that_are_not_utf8(tmp_path):
    listing = Listing("/l", "", "", "ortf", 1.0, 4, {os.fsdecode(b"caf\xe9.wav"): File("00", 1, 2)})
    listing.write(tmp_path)
    from spclap.search.listing import read_listing

    assert read_listing(tmp_path) == listing
    assert replace(listing, files={}) != listing
