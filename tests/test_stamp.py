"""Stamps: what is complete, what it is made from, and what was changed since."""

import json
import os
import shutil

import pytest

from spclap.data.stamp import Stamp, require_complete, require_corpus, scenes_digest
from spclap.errors import DataError


@pytest.fixture
def made(tmp_path):
    """A folder with two outputs, one below a folder and one through a link, finished long enough ago to be trusted."""
    folder = tmp_path / "out"
    stamp = Stamp(folder, a=1)
    stamp.begin()
    (folder / "deep").mkdir()
    (folder / "deep" / "x").write_text("one")
    (tmp_path / "y").write_text("two")
    (folder / "y").symlink_to(tmp_path / "y")
    stamp.write([folder / "deep" / "x", folder / "y"])
    Stamp(folder, a=1).fresh()  # what was written in one tick of the clock with the stamp is read once more
    return folder


def test_stamp_tells_complete_from_killed_and_changed(tmp_path):
    stamp = Stamp(tmp_path / "out", conf={"a": 1, 2: (3,)})
    assert not stamp.fresh()
    Stamp(tmp_path / "out", conf={"a": 1, 2: (3,)}).begin()  # killed
    assert not stamp.fresh() and stamp.interrupted()
    with pytest.raises(DataError, match="unfinished; run stage 9"):
        require_complete(tmp_path / "out", "stage 9")
    stamp.begin()
    with pytest.raises(DataError, match=rf"written by process {os.getpid()} on .* since .*; wait until stage 9"):
        require_complete(tmp_path / "out", "stage 9")
    stamp.write()
    assert stamp.fresh() and not Stamp(tmp_path / "out", conf={"a": 2}).fresh()
    require_complete(tmp_path / "out", "stage 9")


def test_unfinished_rooms_or_clips_are_refused(tmp_path):
    data, dump = tmp_path / "data", tmp_path / "dump"
    Stamp(data / "scenes", seed=0).write()
    Stamp(data / "rirs" / "train", seed=0).write()
    with pytest.raises(DataError, match="clips: missing or unfinished; run stage 2"):
        require_corpus(data, dump)
    Stamp(dump / "clips").write()
    require_corpus(data, dump)
    Stamp(data / "rirs" / "train", seed=1).begin()
    with pytest.raises(DataError, match="rirs/train: missing or unfinished; run stage 1"):
        require_corpus(data, dump)


def test_what_scenes_are_does_not_depend_on_the_machine_that_simulated_the_rooms(tmp_path):
    (tmp_path / "scenes").mkdir()
    (tmp_path / "simu.yaml").write_text("seed: 0\n")
    (tmp_path / "scenes" / "test_1src.jsonl").write_text("{}\n")
    Stamp(tmp_path / "rirs" / "train", seed=0).write()
    before = scenes_digest(tmp_path)
    Stamp(tmp_path / "rirs" / "train", seed=1).write([tmp_path / "simu.yaml"])
    assert scenes_digest(tmp_path) == before
    (tmp_path / "scenes" / "test_1src.jsonl").write_text("{ }\n")
    assert scenes_digest(tmp_path) != before


def test_output_of_other_settings_is_moved_aside_not_overwritten(tmp_path):
    Stamp(tmp_path / "out", a=1).write()
    (tmp_path / "out" / "weights").write_text("precious")
    Stamp(tmp_path / "out", a=2).begin(keep_old=True)
    assert (tmp_path / "out.old1" / "weights").read_text() == "precious"
    Stamp(tmp_path / "out", a=2).begin(keep_old=True)
    assert not (tmp_path / "out.old2").exists()
    (tmp_path / "out" / "done.json").unlink()  # nobody knows what is in there
    (tmp_path / "out" / "weights").write_text("precious too")
    Stamp(tmp_path / "out", a=2).begin(keep_old=True)
    assert (tmp_path / "out.old2" / "weights").read_text() == "precious too"
    assert not list(tmp_path.glob("*.old*/.lock"))


def swap_link(folder):
    (folder / "y").unlink()
    (folder / "other").write_text("TWO")
    (folder / "y").symlink_to(folder / "other")


def put_older_file(folder):
    (folder / "new").write_text("ONE")
    os.utime(folder / "new", ns=(0, 0))
    os.replace(folder / "new", folder / "deep" / "x")


def put_older_folder(folder):
    (folder / "else").mkdir()
    (folder / "else" / "x").write_text("ONE")
    shutil.rmtree(folder / "deep")
    (folder / "else").rename(folder / "deep")


CHANGES = {
    "deep/x": (lambda folder: (folder / "deep" / "x").write_text("ONE"), put_older_file, put_older_folder,
               lambda folder: (folder / "deep" / "x").write_bytes(b"")),
    "y": (swap_link, lambda folder: (folder / "y").write_text("TWO")),
}  # fmt: skip


@pytest.mark.parametrize(("name", "change"), [(name, change) for name, every in CHANGES.items() for change in every])
def test_what_was_changed_is_told_to_everybody_and_never_written_over(made, name, change):
    change(made)
    stamp = (made / "done.json").read_bytes()
    for call in (
        Stamp(made, a=1).fresh,
        Stamp(made, a=1).begin,
        Stamp(made, a=2).begin,  # other settings would write over it
        lambda: require_complete(made, "stage 7"),
    ):
        with pytest.raises(DataError, match=f"/{name}: changed since (this stage|stage 7) made it; move it away or"):
            call()
    assert (made / "done.json").read_bytes() == stamp
    aside = made.with_name("aside")
    (made / name).rename(aside)  # as the message says
    assert not Stamp(made, a=1).fresh()
    with pytest.raises(DataError, match=f"{name}: missing; rerun stage 7"):
        require_complete(made, "stage 7")


def test_a_copy_with_other_times_is_the_same_and_read_once(made, monkeypatch):
    copy = made.with_name("copy")
    shutil.copytree(made, copy)
    os.utime(copy / "y", ns=(0, 0))
    done = (copy / "done.json").stat().st_mtime_ns
    assert Stamp(copy, a=1).fresh()
    require_complete(copy, "stage 7")
    assert (copy / "done.json").stat().st_mtime_ns == done
    monkeypatch.setattr("spclap.data.stamp._content", lambda path: pytest.fail(f"{path} is read again"))
    assert Stamp(copy, a=1).fresh() and Stamp(made, a=1).fresh()


def test_missing_output_is_made_anew(made):
    (made / "deep" / "x").unlink()
    assert not Stamp(made, a=1).fresh()
    Stamp(made, a=1).begin()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "\x00" * 64])
def test_a_damaged_stamp_is_one_line(made, content):
    (made / "done.json").write_text(content)
    for call in (Stamp(made, a=1).fresh, Stamp(made, a=1).begin, lambda: require_complete(made, "stage 7")):
        with pytest.raises(DataError, match=r"out/done.json: damaged \(.*\); delete it and rerun the stage"):
            call()
    (made / "done.json").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="damaged"):
        require_complete(made, "stage 7")


def test_stamps_without_outputs_are_those_of_an_older_version(made):
    stored = json.loads((made / "done.json").read_text())
    del stored["outputs"]
    (made / "done.json").write_text(json.dumps(stored))
    assert Stamp(made, a=1).fresh()
