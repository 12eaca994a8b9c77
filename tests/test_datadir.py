"""Data directories: what is written can be read, and bad tables are refused with file, line and next step."""

import errno
from dataclasses import replace
from pathlib import Path

import pytest

from spclap.data import datadir
from spclap.data.datadir import Clip
from spclap.errors import DataError

CLIPS = [
    Clip("b", "b.wav", ("a dog barks",), ("dog",), "r2"),
    Clip("a", "a.wav", ("a lamb bleats", "a sheep"), ("lamb", "sheep"), "r1"),
]


@pytest.fixture
def folder(tmp_path):
    datadir.write_datadir(tmp_path / "train", CLIPS)
    return tmp_path / "train"


def test_round_trip_sorts_by_id(folder):
    clips = [replace(clip, events=clip.labels[-1:]) for clip in CLIPS]  # none were given
    assert datadir.load_datadir(folder) == sorted(clips, key=lambda clip: clip.id)
    assert (folder / "text").read_text() == "a-c0 a lamb bleats\na-c1 a sheep\nb-c0 a dog barks\n"
    assert (folder / "utt2label").read_text() == "a lamb,sheep\nb dog\n"


def test_labels_and_captions_keep_their_order(tmp_path):
    """The most specific first, the kind last, whatever their letters."""
    clip = Clip("a", "a.wav", ("z", "m", "a"), ("wolf", "dog", "mammal"), "r", ("wolf", "dog"))
    datadir.write_datadir(tmp_path, [clip])
    assert datadir.load_datadir(tmp_path) == [clip]


def test_sorted_by_code_point_as_lc_all_c(tmp_path):
    datadir.write_table(tmp_path / "t", {"a": "1", "B": "2", "a-b": "3", "é": "4", "a1": "5"})
    assert list(datadir.read_table(tmp_path / "t")) == ["B", "a", "a-b", "a1", "é"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a 1\na 2\n", ["wav.scp:2", "duplicate key `a`", "keep one"]),
        ("b 1\na 2\n", ["wav.scp:2", "`a` comes after `b`", "LC_ALL=C sort"]),
        ("a 1\n\nb 2\n", ["wav.scp:2", "empty line", "remove"]),
        ("a 1\nb\n", ["wav.scp:2", "`b` has no value", "remove the line"]),
        ("a 1\nb  \n", ["wav.scp:2", "`b` has no value"]),
        ("a 1\nb \u200b\n", ["wav.scp:2", "value of `b` is '\\u200b'", "can be seen"]),
        ("a 1\nb\ufeff 1\n", ["wav.scp:2", "key 'b\\ufeff'", "rename"]),
        ("a 1\nb x\u2028y\n", ["wav.scp:2", "value of `b`", "one line"]),
    ],
)
def test_bad_tables_are_refused(tmp_path, text, words):
    path = tmp_path / "wav.scp"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as error:
        datadir.read_table(path)
    assert all(word in str(error.value) for word in words), error.value


def test_tabs_and_a_byte_order_mark_are_read(tmp_path):
    (tmp_path / "text").write_bytes("\ufeffa\ta dog\tbarks\r\nb \t a cat\r\n".encode())
    assert datadir.read_table(tmp_path / "text") == {"a": "a dog\tbarks", "b": "a cat"}


def test_what_can_be_seen():
    nothing = ["", " ", "\u200b", "\ufeff\u2060", "\u00ad", "\u3164", "\u2800", "\u0301", "\x07", "\u202e", "\u3000"]
    assert not any(map(datadir.visible, nothing))
    assert all(map(datadir.visible, ["a", "犬", "é", "🐕", "3", "!", "\u200ba"]))
    assert all(map(datadir.is_name, ["dog", "犬", "Hund_groß", "a-1", "é"]))
    assert not any(map(datadir.is_name, [*nothing, "a dog", "dog\u200b", "a\u00a0b", "a\tb"]))


def test_missing_table_names_the_stage(tmp_path):
    with pytest.raises(DataError, match="text: file not found; stage 0"):
        datadir.read_table(tmp_path / "text")


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("text", "b-c0 a dog barks\n", "", ["text", "no caption", "b-c0", "rerun stage 0"]),
        ("text", "b-c0 a dog barks", "b-c0 ", ["text:3", "no value"]),
        ("caption2clip", "b-c0 b\n", "", ["caption2clip", "lacks b-c0"]),
        ("utt2label", "b dog\n", "", ["utt2label", "no label", "b"]),
        ("utt2label", "lamb,sheep", "lamb,,sheep", ["utt2label", "'lamb,,sheep'", "label,label"]),
        ("wav.scp", "b b.wav\n", "", ["wav.scp", "lacks b"]),
        ("clip2source", "b r2\n", "", ["clip2source", "no source", "b"]),
    ],
)
def test_tables_must_fit(folder, name, old, new, words):
    _edit(folder / name, old, new)
    with pytest.raises(DataError) as error:
        datadir.load_datadir(folder)
    assert all(word in str(error.value) for word in words), error.value


def test_clip_without_any_caption(folder):
    _edit(folder / "text", "b-c0 a dog barks\n", "")
    _edit(folder / "caption2clip", "b-c0 b\n", "")
    with pytest.raises(DataError, match=r"caption2clip: no caption for b.*rerun stage 0"):
        datadir.load_datadir(folder)


def test_split_without_clips(folder):
    (folder / "wav.scp").write_text("")
    with pytest.raises(DataError, match=r"wav.scp: the split has no clips; add some"):
        datadir.load_datadir(folder)
    with pytest.raises(DataError, match=r"valid: no clips for this split"):
        datadir.write_datadir(folder.parent / "valid", [])
    assert not (folder.parent / "valid").exists()


@pytest.mark.parametrize(
    ("clip", "word"),
    [
        (Clip("a", "a.wav", (), ("dog",), "a"), "no caption"),
        (Clip("a", "a.wav", ("",), ("dog",), "a"), "no value"),
        (Clip("a", "a.wav", ("\u200b",), ("dog",), "a"), "can be seen"),
        (Clip("a", "a.wav", ("a\u2028b",), ("dog",), "a"), "one line of text"),
        (Clip("a", "a.wav", ("a dog",), ("Male speech",), "a"), "'Male speech'; it must be one word"),
        (Clip("a", "a.wav", ("a dog",), ("male,dog",), "a"), "'male,dog'; it must be one word without comma"),
        (Clip("a", "a.wav", ("a dog",), ("dog",), "a", ("\u200b",)), "it must be one word"),
        (Clip("a", "a.wav", ("two\nlines",), ("dog",), "a"), "one line of text"),
        (Clip("a b", "a.wav", ("a dog",), ("dog",), "a"), "white space"),
    ],
)
def test_nothing_is_written_for_bad_clips(tmp_path, clip, word):
    with pytest.raises(DataError, match=word):
        datadir.write_datadir(tmp_path / "train", [clip])
    assert not list(tmp_path.rglob("*"))


def test_label_with_one_clip_is_fine(folder):
    assert datadir.load_datadir(folder)[1].labels == ("dog",)


def _full_disk(path: Path, text: str, **_) -> None:
    """Like Path.write_text on a disk that gets full with the second file."""
    if "caption2clip" in path.name:
        with open(path, "w") as file:
            file.write(text[:3])
        raise OSError(errno.ENOSPC, "No space left on device", str(path))
    with open(path, "w") as file:
        file.write(text)


def test_disk_full_leaves_the_old_output(folder, monkeypatch):
    before = {path.name: path.read_text() for path in folder.iterdir()}
    monkeypatch.setattr(Path, "write_text", _full_disk)
    with pytest.raises(DataError, match=r"caption2clip: cannot be written: .*No space left.*rerun"):
        datadir.write_datadir(folder, CLIPS[:1])
    assert {path.name: path.read_text() for path in folder.iterdir()} == before


def test_atomic_path_cleans_up_after_any_error(tmp_path):
    with pytest.raises(KeyError), datadir.atomic_path(tmp_path / "x" / "out") as temporary:
        temporary.write_text("half")
        raise KeyError
    assert not list((tmp_path / "x").iterdir())
    with datadir.atomic_path(tmp_path / "x" / "out") as temporary:
        temporary.write_text("whole")
        assert not (tmp_path / "x" / "out").exists()
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["out"]


def test_splits_share_nothing(tmp_path):
    cow = Clip("c", "c.wav", ("a cow",), ("cow",), "r3")
    datadir.write_splits(tmp_path, {"train": CLIPS, "test": [cow]})
    before = (tmp_path / "test" / "wav.scp").read_text()
    train = [replace(cow, id="d", path="d.wav", source="r9"), *CLIPS]
    for test, message in (
        ([replace(cow, source="r1")], r"train and test share 1 original recording.*: r1; keep each in one split"),
        ([CLIPS[0]], r"share 1 clip.*: b"),
        ([replace(cow, path="b.wav")], r"share 1 audio file.*: b.wav"),
        ([], "no clips for this split"),
        ([replace(cow, id="a cow")], "white space"),
    ):
        with pytest.raises(DataError, match=message):
            datadir.write_splits(tmp_path, {"train": train, "test": test})
        assert (tmp_path / "test" / "wav.scp").read_text() == before
        assert "d" not in (tmp_path / "train" / "wav.scp").read_text().split()


def test_scp_path_is_relative_inside_the_repository(tmp_path):
    assert datadir.scp_path(tmp_path / "data" / "a.wav", tmp_path) == "data/a.wav"
    assert datadir.scp_path(Path("/elsewhere/a.wav"), tmp_path) == "/elsewhere/a.wav"


def test_train_needs_two_kinds(tmp_path):
    cow = Clip("c", "c.wav", ("a cow",), ("cow",), "r3")
    calf = replace(cow, id="d", path="d.wav", labels=("calf", "cow"), source="r4")
    datadir.check_splits({"train": CLIPS, "valid": [cow], "test": [calf]})
    with pytest.raises(DataError, match=r"train: all clips are of the kind cow; .* two kinds"):
        datadir.write_splits(tmp_path, {"train": [cow, calf], "test": CLIPS})
    assert not list(tmp_path.iterdir())
