"""utils/validate_data_dir.py: exit code and what it prints."""

import subprocess
import sys
from pathlib import Path

import pytest

from spclap.data.datadir import Clip, write_datadir

PROGRAM = Path(__file__).parents[1] / "utils" / "validate_data_dir.py"


def validate(*folders) -> tuple[int, str]:
    command = [sys.executable, "-S", str(PROGRAM), *map(str, folders)]  # -S: no installed packages
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.returncode, result.stdout + result.stderr


@pytest.fixture
def folders(tmp_path):
    for split in ("train", "test"):
        clips = []
        for number in range(8):
            path = tmp_path / f"{split}{number}.wav"
            path.write_bytes(b"RIFF")
            clips.append(Clip(f"{split}{number}", str(path), ("a dog",), ("dog",), f"{split}{number}"))
        write_datadir(tmp_path / split, clips)
    return tmp_path / "train", tmp_path / "test"


def test_good_directories(folders):
    lines = [f"{folder}: 8 clips, 8 captions, valid\n" for folder in folders]
    assert validate(*folders) == (0, "".join(lines))


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("wav.scp", lambda s: s.replace("train3.wav", "gone.wav"), ["train3: no file", "gone.wav", "rerun stage 0"]),
        ("wav.scp", lambda s: s + s.splitlines()[-1] + "\n", ["wav.scp:9: duplicate key `train7`"]),
        ("wav.scp", lambda s: "".join(reversed(s.splitlines(True))), ["wav.scp:2", "comes after", "... and 2 more"]),
        ("wav.scp", lambda s: "", ["the split has no clips"]),
        ("text", lambda s: s.replace("train3-c0 a dog", "train3-c0"), ["text:4", "no value"]),
        ("text", lambda s: s.replace("train3-c0 a dog\n", ""), ["caption2clip lacks", "text", "  + train3-c0"]),
        ("caption2clip", lambda s: s.replace("train3-c0 train3", "train3-c0 train4"), ["wav.scp", "  - train3"]),
        ("utt2label", lambda s: s.replace("train3 dog\n", "\n"), ["utt2label:4: empty line"]),
        ("clip2source", lambda s: s.replace("train3 train3\n", ""), ["clip2source", "  - train3"]),
    ],
)
def test_bad_directory_exits_with_a_diff(folders, name, change, words):
    path = folders[0] / name
    path.write_text(change(path.read_text()))
    code, output = validate(*folders)
    assert code == 1
    assert all(word in output for word in words), output
    assert "Traceback" not in output and len(output.splitlines()) < 30


def test_shared_recordings(folders):
    path = folders[1] / "clip2source"
    path.write_text(path.read_text().replace("test3 test3", "test3 train5"))
    code, output = validate(*folders)
    assert code == 1 and "share 1 original recording(s)" in output and "  train5" in output


def test_missing_directory(tmp_path):
    code, output = validate(tmp_path / "nope")
    assert code == 1 and "nope: data directory not found; stage 0 makes it" in output
