"""Files that are complete or not there, locks, and programs that end."""

import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from full_disk import full_disk
from threadpoolctl import threadpool_info

from spclap.bin import require_gpus, run_main
from spclap.data.files import DAY, atomic_path, atomic_write_text
from spclap.data.lock import Lock, lock_folder, writer_of
from spclap.data.stamp import Stamp
from spclap.data.workers import workers
from spclap.engine.trainer import safe_files
from spclap.errors import DataError
from spclap.evaluate.record import merge_results

ROOT = Path(__file__).resolve().parents[1]


def test_no_link_of_another_user_is_written_through(tmp_path, monkeypatch):
    """Neither under the name that every version before had, nor when the drawn name is guessed."""
    precious = tmp_path / "precious"
    precious.write_text("keep")
    (tmp_path / ".tmp-out").symlink_to(precious)
    atomic_write_text(tmp_path / "out", "new")
    monkeypatch.setattr("spclap.data.files.secrets.token_hex", lambda count: "guessed")
    (tmp_path / ".tmp-guessed-out").symlink_to(precious)
    with pytest.raises(DataError, match="out: cannot be written: .*File exists"):
        atomic_write_text(tmp_path / "out", "newer")
    assert precious.read_text() == "keep" and (tmp_path / "out").read_text() == "new"


def test_files_have_the_mode_that_the_user_wants_and_those_of_killed_runs_are_removed(tmp_path):
    old, young, other = (tmp_path / f".tmp-{name}" for name in ("0123-out", "4567-out", "89ab-else"))
    for path, age in ((old, 2 * DAY), (young, 60), (other, 2 * DAY)):
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    before = os.umask(0o027)
    try:
        atomic_write_text(tmp_path / "out", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o640
    assert not old.exists() and young.exists() and other.exists()  # another process may be at it
    lock_folder(tmp_path).release()  # now it is known that none is
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("name", [".", "/", "folder"])
def test_a_folder_is_no_file_to_write(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=r"is a folder; give a file in it|folder: cannot be written"):
        atomic_write_text(Path(name), "text")
    assert [path.name for path in tmp_path.rglob("*")] == ["folder"]


@pytest.mark.parametrize("room", [1000, 40_000, 399_000])
def test_a_full_disk_is_one_line_also_from_torch(tmp_path, room):
    path = tmp_path / "model.pth"
    torch.save({"a": 1}, path)
    with pytest.raises(DataError, match="model.pth: cannot be written: .*too large"), safe_files(), full_disk(room):
        torch.save({"a": torch.zeros(100_000)}, path)
    assert torch.load(path, weights_only=True) == {"a": 1} and list(tmp_path.iterdir()) == [path]


def test_a_signal_while_torch_writes_is_that_signal(tmp_path, monkeypatch):
    class Interrupting:
        def __reduce__(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), safe_files():
        torch.save({"a": torch.zeros(10), "b": Interrupting()}, tmp_path / "model.pth")
    assert not list(tmp_path.iterdir())


HOLDER = """
import sys, time
from spclap.data.lock import lock_folder
lock = lock_folder(sys.argv[1])
print(1, flush=True)
time.sleep(60)
"""


def test_a_lock_tells_who_and_is_free_when_its_holder_was_killed(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path / "f"], stdout=subprocess.PIPE, cwd=ROOT)
    assert holder.stdout.read(1) == b"1"
    with pytest.raises(
        DataError, match=rf"/f is being written by process {holder.pid} on .* since 20.*; wait or stop it"
    ):
        lock_folder(tmp_path / "f")
    assert f"process {holder.pid}" in writer_of(tmp_path / "f")
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert writer_of(tmp_path / "f") == ""
    with lock_folder(tmp_path / "f"), pytest.raises(DataError, match=f"process {os.getpid()}"):
        lock_folder(tmp_path / "f")
    assert not list((tmp_path / "f").iterdir())


def test_of_many_that_want_a_lock_one_has_it_at_a_time(tmp_path):
    """Though its file is removed and made again all the time."""
    inside, most = [], []

    def work() -> None:
        for _ in range(50):
            with Lock(tmp_path / "lock", tmp_path, wait=True):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 300 and max(most) == 1


def test_a_lock_whose_file_is_removed_meanwhile_is_taken_anew(tmp_path, monkeypatch):
    plain, removed = fcntl.flock, []

    def flock(file, how):
        plain(file, how)
        if not removed:  # as its holder does
            removed.append(file)
            (tmp_path / "lock").unlink()

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(Path, "exists", lambda self: True)  # it was there a moment ago
    with Lock(tmp_path / "lock", tmp_path, wait=True) as lock:
        assert os.path.samestat(os.fstat(lock.file.fileno()), (tmp_path / "lock").stat())


def test_two_that_write_one_folder(tmp_path):
    first, second = Stamp(tmp_path / "f", a=1), Stamp(tmp_path / "f", a=2)
    first.begin()
    for keep_old in (True, False):
        with pytest.raises(DataError, match="is being written by"):
            second.begin(keep_old=keep_old)
    first.write()
    assert first.fresh()
    second.begin(keep_old=True)
    assert (tmp_path / "f.old1" / "done.json").exists()


def test_no_row_is_lost_when_several_merge_results(tmp_path):
    def merge(first: int) -> None:
        for seed in range(first, first + 30):
            merge_results(tmp_path / "results.json", [{"corpus": "c", "seed": seed}])

    threads = [threading.Thread(target=merge, args=(first,)) for first in (0, 30, 60, 90)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = json.loads((tmp_path / "results.json").read_text())
    assert sorted(row["seed"] for row in rows) == list(range(120))
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


@pytest.mark.parametrize("content", ["", "{}", "[1]", '[{"tag": "scl"}]'])
def test_damaged_results_are_told_and_stay(tmp_path, content):
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(DataError, match="results.json: not a list of results .*; move it away and rerun stage 5"):
        merge_results(tmp_path / "results.json", [{"corpus": "c", "seed": 0}])
    assert (tmp_path / "results.json").read_text() == content


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_one_line_and_leaves_nothing_half_written(tmp_path, capsys, number):
    before = signal.signal(number, signal.default_int_handler)  # the caller may ignore it, as nohup does
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]

    def main() -> None:
        with atomic_path(tmp_path / "out") as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), number)
            time.sleep(10)

    with pytest.raises(SystemExit) as end:
        run_main(main)
    assert end.value.code == 128 + number and not list(tmp_path.iterdir())
    assert capsys.readouterr().err == f"error: stopped by {number.name}; a rerun goes on\n"
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == handlers
    signal.signal(number, before)


def test_an_ignored_signal_stays_ignored(monkeypatch):
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        run_main(lambda: os.kill(os.getpid(), signal.SIGHUP))
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_full_temporary_folder_is_one_line(tmp_path, capsys, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(SystemExit) as end:
        run_main(lambda: tempfile.TemporaryDirectory())
    error = capsys.readouterr().err
    assert end.value.code == 1 and "nowhere" in error and error.count("\n") == 1


def test_more_gpus_than_there_are_is_one_line(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    require_gpus(0)
    with pytest.raises(DataError, match="--ngpu is 2, torch finds 0 here; give --ngpu 0"):
        require_gpus(2)


WORKERS = """
import os, sys, time
from spclap.data.workers import workers
def job(number):
    os.write(1, b"%d\\n" % number)  # at once, since all write into one pipe
    time.sleep(60)
with workers(3) as pool:
    list(pool.map(job, range(1, 7)))
"""


def test_workers_do_not_outlive_a_killed_parent():
    """They share its output, which therefore ends when the last of them has."""
    parent = subprocess.Popen([sys.executable, "-c", WORKERS], stdout=subprocess.PIPE, cwd=ROOT)
    assert sorted(parent.stdout.readline() for _ in range(3)) == [b"1\n", b"2\n", b"3\n"]
    os.kill(parent.pid, signal.SIGKILL)
    rest, _ = parent.communicate(timeout=20)
    assert rest == b""


def test_a_worker_computes_in_one_thread():
    """Two processes of two threads each on two cores take twice as long as two of one."""
    with workers(1) as pool:
        assert {library["num_threads"] for library in pool.submit(threadpool_info).result()} == {1}
