"""Packages of egs/mini: what they hold is found, and a damaged, huge or exchanged one costs a line, not the recipe."""

import hashlib
import importlib
import shutil
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest
import zstandard

ROOT = Path(__file__).resolve().parents[1]
SOUNDS = {"a/x.ogg": b"sound one " * 9, "a/y.ogg": b"sound two " * 5, "z.ogg": b"sound three"}


@pytest.fixture
def packages(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "egs" / "mini" / "local")
    yield importlib.import_module("packages")
    for name in ("packages", "archives"):
        sys.modules.pop(name)


def packed(content: bytes, how: int) -> bytes:
    """Content as a Qt resource stores it: plain, zlib behind its length, zstd."""
    if how == 1:
        return struct.pack(">I", len(content)) + zlib.compress(content, 9)
    return zstandard.ZstdCompressor().compress(content) if how == 4 else content


def rcc(x: bytes, y: bytes, z: bytes, how: int = 0) -> bytes:
    """A Qt resource of version 2 with the files a/x.ogg, a/y.ogg and z.ogg."""
    names, at = b"", {}
    for name in ("", "a", "z.ogg", "x.ogg", "y.ogg"):
        at[name] = len(names)
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
    blobs, offsets = b"", []
    for content in (x, y, z):
        offsets.append(len(blobs))
        blobs += struct.pack(">I", len(packed(content, how))) + packed(content, how)
    folder, file = (lambda n, c, f: (at[n], 2, c, f)), (lambda n, o: (at[n], how, 0, o))
    nodes = [folder("", 2, 1), folder("a", 2, 3), file("z.ogg", offsets[2])]
    nodes += [file("x.ogg", offsets[0]), file("y.ogg", offsets[1])]
    tree = b"".join(struct.pack(">IHIIQ", *node, 0) for node in nodes)
    return struct.pack(">4s4I", b"qres", 2, 20, 20 + len(tree), 20 + len(tree) + len(blobs)) + tree + blobs + names


def cat(*sounds: bytes) -> bytes:
    """An OpenTTD sound set of RIFF files."""
    entries = [b"\x02n\0" + b"RIFF" + struct.pack("<I", len(sound)) + sound for sound in sounds]
    starts = [8 * len(sounds) + sum(map(len, entries[:number])) for number in range(len(entries))]
    table = b"".join(struct.pack("<II", at, len(entry)) for at, entry in zip(starts, entries, strict=True))
    return table + b"".join(entries)


def wheel(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def take(packages, file: Path, sounds: dict[str, bytes]) -> tuple[dict[str, bytes], list[str]]:
    """Sounds that are in a package, and what is said of the others."""
    folder = file.parent / "audio"
    shutil.rmtree(folder, ignore_errors=True)
    wanted = {
        path: packages.Wanted(path, folder / str(number), hashlib.sha256(content).hexdigest())
        for number, (path, content) in enumerate(sounds.items())
    }
    lines = packages.extract(file, list(wanted.values()), lambda count: None)
    return {path: item.target.read_bytes() for path, item in wanted.items() if item.is_here()}, lines


@pytest.mark.parametrize("how", [0, 1, 4])
def test_sounds_of_a_qt_resource(packages, tmp_path, how):
    file = wheel(tmp_path / "p-1-any.whl", {"d/r.rcc": rcc(*SOUNDS.values(), how=how)})
    found, lines = take(packages, file, {**SOUNDS, "a/none.ogg": b"", "a": b""})
    assert found == SOUNDS and lines == ["p-1-any.whl has no a", "p-1-any.whl has no a/none.ogg"]


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="no dpkg-deb")
def test_sounds_of_a_deb(packages, tmp_path):
    control = tmp_path / "tree" / "DEBIAN" / "control"
    control.parent.mkdir(parents=True)
    control.write_text("Package: p\nVersion: 1\nArchitecture: all\nMaintainer: m <m@m>\nDescription: d\n")
    (tmp_path / "tree" / "s.cat").write_bytes(cat(b"one", b"two"))
    (tmp_path / "tree" / "a.ogg").write_bytes(b"three")
    command = ["dpkg-deb", "--build", tmp_path / "tree", tmp_path / "p_1_all.deb"]
    subprocess.run(command, check=True, capture_output=True)
    sounds = {"s.cat#1": b"RIFF\3\0\0\0two", "a.ogg": b"three", "s.cat#0": b"RIFF\3\0\0\0one"}
    assert take(packages, tmp_path / "p_1_all.deb", sounds) == (sounds, [])
    whole = (tmp_path / "p_1_all.deb").read_bytes()
    (tmp_path / "p_1_all.deb").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(packages.PackageError, match=r"p_1_all.deb is damaged .*delete it"):
        take(packages, tmp_path / "p_1_all.deb", sounds)


@pytest.mark.parametrize("how", [0, 1, 4])
def test_cut_resources_are_an_error_or_lack_nothing(packages, tmp_path, how):
    """Cut anywhere, a container gives the sounds as they are or one line, never half a sound or another error."""
    for name, content, sounds in (
        ("r.rcc", rcc(*SOUNDS.values(), how=how), SOUNDS),
        ("s.cat", cat(b"one" * 9, b"two"), {"s.cat#0": b"RIFF\x1b\0\0\0" + b"one" * 9, "s.cat#1": b"RIFF\3\0\0\0two"}),
    ):
        for end in range(len(content)):
            try:
                found = packages._sounds(name, content[:end], list(sounds))
            except packages.PackageError as error:
                assert name in str(error) and "\n" not in str(error)
            else:
                assert all(sounds[path] == data for path, data in found.items())


def test_bombs_are_not_unpacked(packages, tmp_path, monkeypatch):
    limit = 1 << 20
    monkeypatch.setattr(packages.archives, "MAX_BYTES", limit)
    bomb = bytes(64 * limit)
    for file in (
        wheel(tmp_path / "a-1-any.whl", {"d/r.rcc": rcc(bomb, b"", b"", how=1)}),
        wheel(tmp_path / "b-1-any.whl", {"d/r.rcc": rcc(bomb, b"", b"", how=4)}),
        wheel(tmp_path / "c-1-any.whl", {"a/x.ogg": bomb}),
    ):
        assert file.stat().st_size < limit // 2
        tracemalloc.start()
        with pytest.raises(packages.PackageError, match=r"a/x.ogg unpacks to .* at most 1048576 are read"):
            take(packages, file, {"a/x.ogg": bomb})
        assert tracemalloc.get_traced_memory()[1] < 4 * limit
        tracemalloc.stop()


def test_another_sound_under_the_same_name_is_not_taken(packages, tmp_path):
    file = wheel(tmp_path / "p-2-any.whl", {"x.ogg": b"a bell", "y.ogg": b"a dog"})
    found, lines = take(packages, file, {"x.ogg": b"a horse", "y.ogg": b"a dog"})
    assert found == {"y.ogg": b"a dog"}
    assert lines == ["p-2-any.whl: x.ogg is another sound than clips.csv lists (another version?)"]
