"""Bars on terminals, lines in logs."""

import fcntl
import logging
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest
from tqdm import tqdm

from spclap.data.progress import progress


class Clock:
    """Time in s that passes when it is told to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    monkeypatch.setattr("tqdm.std.time", clock := Clock())
    return clock


def work(clock: Clock, steps: int, seconds: float):
    """`steps` things that take `seconds` each."""
    for step in range(steps):
        clock.now += seconds
        yield step


def test_a_pipe_gets_a_line_after_five_seconds_and_every_half_minute(clock, caplog, capfd):
    with caplog.at_level(logging.INFO):
        assert list(progress(work(clock, 390, 0.5), total=390, desc="rooms train", unit="room")) == list(range(390))
    assert caplog.messages == [
        "rooms train: 10/390, 3%, 3 min left",
        "rooms train: 70/390, 18%, 3 min left",
        "rooms train: 130/390, 33%, 2 min left",
        "rooms train: 190/390, 49%, 100 s left",
        "rooms train: 250/390, 64%, 70 s left",
        "rooms train: 310/390, 79%, 40 s left",
        "rooms train: 370/390, 95%, 10 s left",
    ]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("seconds", [0.0001, 0.01, 6, 31, 400])
def test_lines_are_half_a_minute_apart_however_fast_things_go(clock, caplog, monkeypatch, seconds):
    times = []
    monkeypatch.setattr(caplog.handler, "emit", lambda record: times.append(clock.now))
    steps = min(20000, int(2000 / seconds))
    with caplog.at_level(logging.INFO):
        for _ in progress(work(clock, steps, seconds), total=steps):
            pass
    gaps = [after - before for before, after in zip(times, times[1:], strict=False)]
    assert all(30 <= gap <= 30 + 2 * seconds for gap in gaps)
    assert len(times) == 0 if steps * seconds < 5 else times[0] - 1000 <= 5 + 2 * seconds


def test_short_work_says_nothing(clock, caplog, capfd):
    with caplog.at_level(logging.INFO):
        list(progress(work(clock, 49, 0.1), desc="clips"))
        with progress(total=49, desc="clips") as bar:
            for _ in work(clock, 49, 0.1):
                bar.update()
    assert caplog.messages == [] and capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("total", "unit", "line"),
    [
        (None, {}, "sounds.deb: 36000000 it, 6 s so far"),
        (1, {}, "sounds.deb: 36000000 it, 6 s so far"),
        (161e6, {"unit": "B", "unit_scale": True}, "sounds.deb: 36.0M/161M, 22%, 21 s left"),
        (36e9, {"unit": "B", "unit_scale": True}, "sounds.deb: 36.0M/36.0G, 0%, 100 min left"),
    ],
)  # fmt: skip
def test_lines_of_bytes_and_of_unknown_ends(clock, caplog, total, unit, line):
    with caplog.at_level(logging.INFO), progress(total=total, desc="sounds.deb", **unit) as bar:
        clock.now += 6
        bar.update(36e6 - bar.n)
    assert caplog.messages == [line]


def test_nothing_done_yet_is_no_division_by_zero(clock, caplog):
    with caplog.at_level(logging.INFO), progress(total=10, desc="sounds", unit="clip") as bar:
        clock.now += 7
        bar.update(0)
    assert caplog.messages == ["sounds: 0 clip, 7 s so far"]


SLEEPER = """
import itertools, sys
import tqdm.std
clock = itertools.count(0, 0.4)
tqdm.std.time = lambda: next(clock)
from spclap.data.progress import progress
for _ in progress(range(int(sys.argv[1])), desc="rooms"):
    pass
"""


def on_a_terminal(steps: int) -> str:
    """What `steps` of 0.4 s each write."""
    main, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    subprocess.run([sys.executable, "-c", SLEEPER, str(steps)], stderr=end, check=True, timeout=60)
    os.close(end)
    written = b""
    try:
        while part := os.read(main, 65536):
            written += part
    except OSError:  # what Linux says at the end
        pass
    os.close(main)
    return written.decode()


def test_a_terminal_gets_a_bar_that_is_redrawn_in_place_and_goes():
    written = on_a_terminal(40)
    assert written.count("\rrooms: ") > 3 and "\n" not in written
    assert written.endswith("\r") and not written.rsplit("\r", 2)[-2].strip()


def test_a_terminal_gets_nothing_of_short_work():
    assert on_a_terminal(5) == ""


def test_a_bar_is_tqdms_own(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert type(progress([])) is tqdm
