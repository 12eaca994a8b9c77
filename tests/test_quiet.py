"""What is left out of stderr, and that nothing else is."""

import os
import subprocess
import threading

import numpy as np
import pytest
import soundfile
from tiny_models import tiny_roberta

from spclap.data.audio import read_clip
from spclap.data.quiet import without
from spclap.data.stream import MPG123
from spclap.model.text_encoder import HFText


def test_only_noise_is_left_out(capfd):
    with without("Note: |Picked up"):
        os.write(2, b"Note: nothing\nan error\n  Note: indented\n")
        subprocess.run("echo Picked up options >&2; echo from a program >&2", shell=True)
    os.write(2, b"Note: later\n")
    assert capfd.readouterr().err == "an error\n  Note: indented\nfrom a program\nNote: later\n"


def test_errors_are_shown_when_work_fails(capfd):
    with pytest.raises(ValueError), without("Note: "):
        os.write(2, b"Note: nothing\nno end of line")
        raise ValueError
    assert capfd.readouterr().err == "no end of line"


def test_threads_leave_stderr_as_it_was(capfd):
    def work() -> None:
        for _ in range(50):
            with without("Note: "):
                os.write(2, b"Note: nothing\nkept\n")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(2, b"still there\n")
    assert capfd.readouterr().err == "kept\n" * 200 + "still there\n"


TAG = b"ID3\3\0\0\0\0\0\40COMM\0\0\0\20" + bytes(6) + b"x" * 18  # a comment without an end, of which the decoder tells


@pytest.mark.parametrize("pattern", [MPG123, "nothing"])
def test_an_mp3_with_an_odd_comment_is_read_in_silence(tmp_path, monkeypatch, capfd, pattern):
    monkeypatch.setattr("spclap.data.stream.MPG123", pattern)
    sound = tmp_path / "sound.mp3"
    soundfile.write(sound, 0.1 * np.random.default_rng(0).standard_normal(48000), 16000, format="MP3")
    sound.write_bytes(TAG + sound.read_bytes())
    assert len(read_clip(sound, 16000, resample=True, mixdown=False, min_seconds=0.1)) == 48000
    assert ("libmpg123" in capfd.readouterr().err) == (pattern != MPG123)


def test_loading_weights_shows_no_bar(tmp_path, capfd):
    tiny_roberta(tmp_path)
    capfd.readouterr()
    HFText(str(tmp_path))
    assert capfd.readouterr().err == ""
