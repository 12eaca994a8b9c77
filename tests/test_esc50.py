"""Stage 0 of ESC-50 and of the released model, which takes what of it may be shared."""

import csv
import re
import sys
from pathlib import Path

import pytest
import yaml
from programs import ROOT
from stage0 import load_splits, run_stage_zero

from spclap.data.datadir import Clip
from spclap.errors import DataError


@pytest.fixture
def esc_dir(tmp_path):
    """Four folds of three classes; 3 recordings of 2 clips per class and fold; wav named in the CSV, ogg on disk."""
    folder = tmp_path / "esc"
    (folder / "audio").mkdir(parents=True)
    (folder / "meta").mkdir()
    rows = []
    for fold in range(1, 5):
        for target, category in enumerate(("dog", "sea_waves", "space_ship")):
            for recording in range(3):
                source = 1000 * fold + 10 * target + recording
                for take in "AB":
                    name = f"{fold}-{source}-{take}-{target}"
                    (folder / "audio" / f"{name}.ogg").touch()
                    rows.append([f"{name}.wav", fold, target, category, "True", source, take])
    with open(folder / "meta" / "esc50.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["filename", "fold", "target", "category", "esc10", "src_file", "take"])
        writer.writerows(rows)
    return folder


def test_esc50_uses_the_official_folds(esc_dir, tmp_path):
    result = run_stage_zero("esc50", "--esc50_dir", esc_dir, "--out", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert "captions.yaml lacks space_ship" in result.stderr
    splits = load_splits(tmp_path / "out")
    assert {clip.id[0] for clip in splits["test"]} == {"4"} and len(splits["test"]) == 18
    assert {clip.id[0] for clip in splits["train"]} == {"1", "2", "3"}
    assert len(splits["train"]) + len(splits["valid"]) == 54
    assert {clip.labels for clip in splits["valid"]} == {("dog",), ("sea_waves",), ("space_ship",)}
    sources = {split: {clip.source for clip in clips} for split, clips in splits.items()}
    assert not sources["train"] & sources["valid"] and not sources["train"] & sources["test"]
    captions = {clip.labels[0]: clip.captions for clip in splits["train"]}
    assert captions["dog"][0] == "a dog barks" and captions["space_ship"] == ("the sound of space ship",)
    assert all(Path(clip.path).is_file() for clips in splits.values() for clip in clips)


def test_esc50_captions_cover_all_classes():
    captions = yaml.safe_load((ROOT / "egs/esc50/local/captions.yaml").read_text())
    assert len(captions) == 50
    for category, phrases in captions.items():
        assert 3 <= len(phrases) == len(set(phrases)) and all(text == text.lower() for text in phrases), category


HEAD = "filename,fold,category,src_file\n"


def meta(folder: Path) -> Path:
    return folder / "meta" / "esc50.csv"


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda d: meta(d).unlink(), ["esc50.csv: not found", "--esc50_dir", "git clone"]),
        (lambda d: next((d / "audio").iterdir()).unlink(), ["audio", "not found, nor as .wav or .ogg", "--esc50_dir"]),
        (lambda d: meta(d).write_text("filename,fold\n"), ["has no column category, src_file", "git clone"]),
        (lambda d: meta(d).write_text(HEAD), ["lists no clips", "git clone"]),
        (lambda d: meta(d).write_text(HEAD + "a.wav,1\n"), ["esc50.csv:2", "src_file"]),
        (lambda d: meta(d).write_text(HEAD + "a.wav,1,\u200b,7\n", encoding="utf-8"), ["esc50.csv:2", "category"]),
        (lambda d: meta(d).write_text(HEAD + "a.wav,1,tür,7\n", encoding="latin-1"), ["not UTF-8", "iconv"]),
        (lambda d: meta(d).write_text(HEAD + "a.wav,1,dog,7\n", encoding="utf-16"), ["not UTF-8"]),
    ],
)
def test_esc50_errors_say_what_to_do(stage_zero, esc_dir, tmp_path, monkeypatch, break_it, words):
    break_it(esc_dir)
    conf = ROOT / "egs/esc50/conf/data.yaml"
    options = ["--esc50_dir", esc_dir, "--out", tmp_path / "out", "--conf", conf]
    monkeypatch.setattr(sys, "argv", ["data.py", *map(str, options)])
    with pytest.raises(DataError) as error:
        stage_zero("esc50", "data").main()
    assert all(word in str(error.value) for word in words) and "\n" not in str(error.value), error.value
    assert not (tmp_path / "out").exists()


def test_esc50_needs_its_folder_and_known_folds(esc_dir, tmp_path):
    result = run_stage_zero("esc50", "--out", tmp_path / "out")
    assert result.returncode == 1 and "give --esc50_dir DIR" in result.stderr
    overlay = tmp_path / "o.yaml"
    for text, word in (("test_folds: [5]", "fold(s) [5]"), ("valid_folds: [4]", "a fold is in two splits")):
        overlay.write_text(text)
        options = ["--esc50_dir", esc_dir, "--conf", "egs/esc50/conf/data.yaml", overlay, "--out", tmp_path / "out"]
        result = run_stage_zero("esc50", *options)
        assert result.returncode == 1 and word in result.stderr, result.stderr


# released

FREE = ("CC0", "CC-BY")
NAMES = ("free", "mixed", "tested")


def origins(folder: Path, *added: str) -> None:
    """meta/origins.csv: recordings of odd numbers are of a licence that does not allow to share them."""
    rows = []
    for path in sorted((folder / "audio").iterdir()):
        source = int(path.stem.split("-")[1])
        licence = "CC-BY-NC" if source % 2 else FREE[source // 2 % 2]
        rows.append(f"{path.stem}.wav,{licence},somebody's sound {source}")
    (folder / "meta" / "origins.csv").write_text("\n".join(["filename,licence,origin", *rows, *added, ""]))


def released(stage_zero, folder: Path, out: Path, monkeypatch) -> None:
    """Stage 0, with three clips of mini in place of its packages."""
    data = stage_zero("released", "data")
    mini = [Clip(name, f"/{name}.ogg", ("a bell rings", "a bell"), ("bell",), name) for name in NAMES]
    known = {name: ("CC-BY and others" if name == "mixed" else "Free Art (LAL)", "package a") for name in NAMES}
    monkeypatch.setattr(data, "mini", lambda cache: ({"train": mini[:2], "valid": [], "test": mini[2:]}, known))
    monkeypatch.setattr(sys, "argv", ["data.py", "--esc50_dir", str(folder), "--out", str(out)])
    data.main()


def test_the_released_model_learns_from_what_may_be_shared(stage_zero, esc_dir, tmp_path, monkeypatch):
    origins(esc_dir)
    released(stage_zero, esc_dir, tmp_path / "out", monkeypatch)
    splits = load_splits(tmp_path / "out")
    found = {clip.id for clips in splits.values() for clip in clips}
    assert "free" in found and "mixed" not in found
    allowed = {path.stem for path in (esc_dir / "audio").iterdir() if int(path.stem.split("-")[1]) % 2 == 0}
    assert found - {"free", "tested"} == allowed and splits["valid"]
    assert [clip.id for clip in splits["test"]] == ["tested"]
    told = (tmp_path / "out" / "SOURCES.md").read_text()
    assert all(re.search(rf"\| {clip} \| (train|valid|test) \| ", told) for clip in found)
    assert told.count("somebody's sound 1010 ") == 2 and "CC-BY-NC" not in told


@pytest.mark.parametrize(("line", "words"), [("4-9-A-0.wav,CC0", "origins.csv:74"), (None, "no line for 1-1000-A-0")])
def test_a_clip_without_an_origin_stops_the_released_model(stage_zero, esc_dir, tmp_path, monkeypatch, line, words):
    origins(esc_dir, *[line] * bool(line))
    if line is None:
        path = esc_dir / "meta" / "origins.csv"
        path.write_text("".join(row for row in path.open() if "1-1000-A-0" not in row))
    with pytest.raises(DataError, match=words):
        released(stage_zero, esc_dir, tmp_path / "out", monkeypatch)
    assert not (tmp_path / "out").exists()
