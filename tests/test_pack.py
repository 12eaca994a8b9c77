"""Packs of clips, and the program that makes them."""

import errno
import pickle
from pathlib import Path

import numpy as np
import programs
import pytest
import yaml

from spclap.data import pack as module
from spclap.data.datadir import load_datadir
from spclap.data.pack import ClipPack, packed, write_pack
from spclap.errors import DataError
from spclap.scene.corpus import Corpus


@pytest.fixture
def noises():
    rng = np.random.default_rng(1)
    return {f"c{i}": rng.normal(size=50 + 37 * i).astype(np.float32) for i in range(12)}


@pytest.mark.parametrize("part", [10**9, 400])
def test_pack_equals_clips(tmp_path, noises, monkeypatch, part):
    monkeypatch.setattr(module, "PART_SAMPLES", part)
    write_pack(tmp_path / "p", noises.items())
    pack = pickle.loads(pickle.dumps(ClipPack(tmp_path / "p")))
    assert pack.ids == list(noises)
    assert (len(list((tmp_path / "p").glob("*.npy"))) > 3) == (part == 400)
    for key, value in noises.items():
        assert pack.length(key) == len(value)
        assert np.array_equal(pack.read(key), value)
        assert np.array_equal(pack.read(key, 10, 25), value[10:25])
    with pytest.raises(DataError, match="samples 0:9999 of `c0`, which has 50"):
        pack.read("c0", 0, 9999)
    with pytest.raises(DataError, match="no clip `zz`; rerun stage 2"):
        pack.length("zz")


def test_int16_keeps_the_wave_form_of_quiet_and_loud_clips(tmp_path):
    full = np.linspace(-1, 1, 1001, dtype="f")
    write_pack(tmp_path, [("quiet", full / 1000), ("loud", 4 * full)], dtype="int16")
    pack = ClipPack(tmp_path)
    assert pack.read("quiet").dtype == np.float32
    assert np.abs(pack.read("quiet") - full).max() < 1.6 / 32768
    assert np.abs(pack.read("loud") - full).max() < 1.6 / 32768
    assert np.load(tmp_path / "00000.npy").dtype == np.int16


def test_a_full_disk_leaves_whole_parts_only(tmp_path, noises, monkeypatch):
    monkeypatch.setattr(module, "PART_SAMPLES", 300)
    plain, calls = np.save, []

    def save(file, array):
        calls.append(array)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        plain(file, array)

    monkeypatch.setattr(module.np, "save", save)
    with pytest.raises(DataError, match=r"00002.npy: cannot be written: .*No space left"):
        write_pack(tmp_path / "p", noises.items())
    there = packed(tmp_path / "p")
    assert 0 < len(there) < len(noises) and not list((tmp_path / "p").glob(".tmp*"))
    write_pack(tmp_path / "p", [(key, value) for key, value in noises.items() if key not in there])
    pack = ClipPack(tmp_path / "p")
    assert all(np.array_equal(pack.read(key), value) for key, value in noises.items())


def test_ids_twice_and_damaged_packs_are_refused(tmp_path, noises):
    with pytest.raises(DataError, match="no packed clips; stage 2 makes them"):
        ClipPack(tmp_path / "p")
    with pytest.raises(DataError, match="clip id `c0` is given twice"):
        write_pack(tmp_path / "p", [("c0", noises["c0"])] * 2)
    write_pack(tmp_path / "p", noises.items())
    np.save(tmp_path / "p" / "00000.npy", np.zeros(7, np.float32))
    with pytest.raises(DataError, match="do not fit; delete the folder and rerun stage 2"):
        ClipPack(tmp_path / "p")
    (tmp_path / "p" / "00000.npy").write_bytes(b"cut")
    with pytest.raises(DataError, match="damaged pack"):
        ClipPack(tmp_path / "p")


def run(corpus, dump: Path, **clips) -> programs.Ended:
    dump.mkdir(exist_ok=True)
    (dump / "over.yaml").write_text(yaml.safe_dump({"clips": clips}))
    options = ["--data", corpus.data, "--dump", dump, "--nj", "2"]
    return programs.run("spclap.bin.pack", *options, "--conf", "conf/feats.yaml", dump / "over.yaml")


@pytest.mark.slow
def test_an_interrupted_run_goes_on_and_another_setting_begins_anew(corpus, tmp_path):
    assert run(corpus, tmp_path / "d").returncode == 0
    folder = tmp_path / "d" / "clips"
    assert "up to date" in run(corpus, tmp_path / "d").stderr
    done = (folder / "done.json").read_text()
    (folder / "done.json").write_text(done.replace('"complete": true', '"complete": false'))
    (folder / "test" / "00000.json").unlink()
    again = run(corpus, tmp_path / "d")
    assert again.returncode == 0 and "train: 4 clips were packed before" in again.stderr
    assert (folder / "done.json").read_text() == done
    ids = {split: [clip.id for clip in load_datadir(corpus.data / split)] for split in ("train", "test")}
    assert all(ClipPack(folder / split).ids == wanted for split, wanted in ids.items())
    assert run(corpus, tmp_path / "d", dtype="int16").returncode == 0
    assert np.load(folder / "train" / "00000.npy").dtype == np.int16
    assert run(corpus, tmp_path / "d", dtype="int16", min_seconds=0.2).returncode == 0
    assert Corpus(corpus.data, tmp_path / "d").feats.clips.min_seconds == 0.2
    bad = run(corpus, tmp_path / "d", min_seconds=60)
    assert bad.returncode == 1 and bad.stderr.count("at least 60 s are needed") == 4  # every bad clip of the split
    wrong = run(corpus, tmp_path / "d", dtype="int8")
    assert wrong.returncode == 1 and "dtype is 'int8'; it must be one of float32, int16" in wrong.stderr
