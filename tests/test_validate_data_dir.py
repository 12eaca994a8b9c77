"""utils/validate_data_dir.py: exit code and what it prints, and that the recipe agrees with it."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from spclap.data.audio import read_clip
from spclap.data.datadir import Clip, check_splits, load_datadir, write_datadir
from spclap.errors import DataError

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
            kind = "cat" if number == 7 else "dog"
            clips.append(Clip(f"{split}{number}", str(path), ("a dog",), (kind,), f"{split}{number}"))
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


@pytest.fixture(scope="module")
def sound_corpus(tmp_path_factory):
    """Splits of four clips of two kinds, with audio, sources and events; one caption has words of two alphabets."""
    root = tmp_path_factory.mktemp("corpus")
    (root / "wav").mkdir()
    for split in ("train", "valid", "test"):
        clips = []
        for number in range(4):
            name = f"{split}{number}"
            soundfile.write(root / "wav" / f"{name}.wav", np.random.default_rng(number).normal(0, 0.1, 4000), 16000)
            kind = "dog" if number % 2 else "犬"
            path = str(root / "wav" / f"{name}.wav")
            clips.append(Clip(name, path, ("a dog 犬 barks", "an animal"), (f"{kind}-{number}", kind), name, (kind,)))
        write_datadir(root / split, clips)
    return root


def text(change):
    """A damage: the content of a file is changed by a function of its text."""
    return lambda path: path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


def raw(change):
    return lambda path: path.write_bytes(change(path.read_bytes()))


def swap(old, new):
    return text(lambda content: content.replace(old, new))


def of_one_kind(content):
    return "".join(f"{line.split()[0]} {line.split()[0]},dog\n" for line in content.splitlines())


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4\n"
DAMAGES = [  # file, damage, whether it is one
    ("train/text", text(lambda s: s), False),
    ("train/text", swap("train1-c0 ", "train1-c0\t"), False),
    ("train/text", raw(lambda b: b"\xef\xbb\xbf" + b), False),
    ("train/text", raw(lambda b: b.replace(b"\n", b"\r\n")), False),
    ("train/utt2label", text(of_one_kind), True),
    ("valid/utt2label", text(of_one_kind), False),
    ("train/utt2label", swap("train1 dog-1,dog", "train1 Male speech, man speaking"), True),
    ("train/utt2label", swap("dog-1,dog", "dog-1,dog,"), True),
    ("train/utt2label", swap("dog-1,dog", "dog-1,,dog"), True),
    ("train/utt2label", swap("dog-1,dog", "dog-1,\u200b"), True),
    ("train/utt2label", swap("dog-1,dog", "dog-1,dog\u200b"), True),
    ("train/utt2event", swap("train1 dog", "train1 dog bark"), True),
    ("train/utt2event", swap("train1 dog\n", ""), True),
    ("train/text", swap("train1-c0 a dog 犬 barks", "train1-c0 \u200b"), True),
    ("train/text", swap("train1-c0 a dog 犬 barks", "train1-c0 \u3164 \u0301"), True),
    ("train/text", swap("train1-c0 a dog 犬 barks", "train1-c0"), True),
    ("train/text", swap("train1-c0 a dog", "train1-c0 a\u2028dog"), True),
    ("train/text", swap("train1-c0 ", "train1-c0\u00a0"), True),
    ("train/text", swap("train1-c0", " train1-c0"), True),
    ("train/text", raw(lambda b: b.decode().encode("utf-16")), True),
    ("train/text", raw(lambda b: b.replace("犬".encode(), b"\xe9")), True),
    ("train/caption2clip", swap("train1-c1 train1\n", ""), True),
    ("train/caption2clip", swap(" train1\n", " train2\n"), True),
    ("train/caption2clip", swap("train1-c1 train1", "train1-c1 nobody"), True),
    ("test/clip2source", swap("test1 test1", "test1 train1"), True),
    ("test/clip2source", Path.unlink, False),
    ("test/clip2source", swap("test1 test1\n", ""), True),
    ("train/wav.scp", text(lambda s: ""), True),
    ("train/wav.scp", text(lambda s: "".join(reversed(s.splitlines(True)))), True),
    ("train/wav.scp", text(lambda s: s + s.splitlines()[-1] + "\n"), True),
    ("train/wav.scp", text(lambda s: s + "\n"), True),
    ("test/wav.scp", swap("wav/test1", "wav/train1"), True),
    ("train/wav.scp", Path.unlink, True),
    ("wav/train1.wav", Path.unlink, True),
    ("wav/train1.wav", raw(lambda b: b""), True),
    ("wav/train1.wav", raw(lambda b: LFS.encode()), True),
    ("valid", shutil.rmtree, True),
]


def refused_by_the_recipe(root: Path) -> str:
    """What stages 1 and 2 say of the lists and sounds of a corpus, or nothing."""
    try:
        splits = {split: load_datadir(root / split) for split in ("train", "valid", "test")}
        check_splits(splits)
        for clip in [clip for clips in splits.values() for clip in clips]:
            read_clip(clip.path, 16000)
    except DataError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("name", "damage", "bad"), DAMAGES)
def test_the_recipe_refuses_what_the_validator_refuses(sound_corpus, tmp_path, monkeypatch, capsys, name, damage, bad):
    root = tmp_path / "corpus"
    shutil.copytree(sound_corpus, root)
    for path in root.glob("*/wav.scp"):
        swap(str(sound_corpus), str(root))(path)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    damage(root / name)
    changed = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} != before
    assert changed or (name, bad) == DAMAGES[0][::2]
    specification = importlib.util.spec_from_file_location("validate_data_dir", PROGRAM)
    program = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(program)
    monkeypatch.setattr(sys, "argv", ["validate", *(str(root / split) for split in ("train", "valid", "test"))])
    code, said, error = program.main(), capsys.readouterr().err, refused_by_the_recipe(root)
    assert (code, bool(error)) == (bad, bad), (said, error)
    assert "\n" not in error


def test_pointers_of_git_lfs_are_named(sound_corpus, tmp_path):
    path = tmp_path / "a.wav"
    path.write_text(LFS)
    with pytest.raises(DataError, match=r"a.wav: is a Git LFS pointer.*git lfs pull"):
        read_clip(path, 16000)
    lists = tmp_path / "train"
    shutil.copytree(sound_corpus / "train", lists)
    swap(str(sound_corpus / "wav" / "train2.wav"), str(path))(lists / "wav.scp")
    code, output = validate(lists)
    assert code == 1 and f"train2: a Git LFS pointer (run git lfs pull) {path}" in output
