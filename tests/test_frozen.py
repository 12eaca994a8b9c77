"""Frozen sets: what is written is what was rendered, bit for bit, and nothing that was changed is read."""

import json
import shutil

import numpy as np
import pytest
from programs import run

from spclap.errors import DataError
from spclap.evaluate.benchmarks.scenes import asked
from spclap.evaluate.frozen import RenderedSet, listed_captions, read_frozen, write_frozen
from spclap.model.folders import sha256
from spclap.space.array import array_of


def made(corpus, out, *options):
    given = ["--data", corpus.data, "--dump", corpus.dump, "--out", out, "--rooms", 2, "--nj", 1]
    return run("spclap.cli", "make-scenes", *given, *options)


@pytest.fixture(scope="module")
def folder(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("sets") / "ortf"
    result = made(corpus, out, "--array", "ortf", "--sources", 1, 2, "--count", 5, "--seconds", 1.5)
    assert result.returncode == 0, result.stderr[-2000:]
    return out


def test_a_set_says_what_is_where_and_who_hears(folder):
    one, two = read_frozen(folder)
    assert [len(own.scenes) for own in (one, two)] == [5, 5] and {scene.size for scene in two.scenes} == {2}
    assert set(one.arrays + two.arrays) == {str(array_of("ortf"))}
    assert one.waves(slice(1, 4)).shape == (3, 2, 24000)
    line = json.loads((folder / "scenes.jsonl").read_text().splitlines()[-1])
    said = {source["direction"] for source in line["sources"]}
    assert len(said) == 2 and line["caption"] in listed_captions(folder) and len(line["recordings"]) == 2
    assert all(0.1 <= room["rt60"] <= 0.3 and 0.5 <= room["distance"] <= 2.5 for room in two.rooms)
    assert listed_captions(folder) == asked([one, two])


def test_audio_is_what_was_rendered_and_channels_share_one_scale(corpus, tmp_path):
    scenes = corpus.fixed("test", 1)[:3]
    own = RenderedSet.of("1src", scenes, corpus, corpus.bank("test"), "test", 1.0)
    loud = RenderedSet.of("1src", scenes, corpus, corpus.bank("test"), "test", 1.0)
    object.__setattr__(loud, "waves", lambda rows: 40 * own.waves(rows))
    for name, sounds in (("plain", own), ("loud", loud)):
        write_frozen(tmp_path / name, [sounds], ["a"], {})
    plain, scaled = (read_frozen(tmp_path / name)[0].waves(slice(None)) for name in ("plain", "loud"))
    np.testing.assert_allclose(plain, own.waves(slice(None)), atol=3e-7)
    assert np.abs(scaled).max() == pytest.approx(0.99, abs=1e-4)
    for quiet, loud_one in zip(plain, scaled, strict=True):
        np.testing.assert_allclose(loud_one * np.abs(quiet).max() / np.abs(loud_one).max(), quiet, atol=1e-5)


def test_the_same_seed_gives_the_same_bits(corpus, folder, tmp_path):
    options = ["--array", "ortf", "--sources", 2, 1, "--count", 5, "--seconds", 1.5]
    assert made(corpus, tmp_path / "again", *options).returncode == 0
    assert made(corpus, tmp_path / "other", *options, "--seed", 1).returncode == 0
    names = sorted(path.relative_to(folder) for path in folder.rglob("*.flac"))
    assert len(names) == 10
    for name in ["scenes.jsonl", *names]:
        assert sha256(tmp_path / "again" / name) == sha256(folder / name)
    assert sha256(tmp_path / "other" / names[0]) != sha256(folder / names[0])


def test_a_changed_set_is_refused(folder, tmp_path):
    for name in ("audio/1src-00000.flac", "scenes.jsonl", "captions.txt"):
        shutil.copytree(folder, tmp_path / "set")
        with (tmp_path / "set" / name).open("ab") as file:
            file.write(b"\n")
        with pytest.raises(DataError, match=rf"damaged set of scenes: {name} is not what was written; make it anew"):
            read_frozen(tmp_path / "set")
        shutil.rmtree(tmp_path / "set")
    with pytest.raises(DataError, match="`spclap make-scenes` writes such folders"):
        read_frozen(tmp_path / "none")


@pytest.mark.parametrize(
    "options, told",
    [
        (["--sources", 5], "sources are 1 to 4"),
        (["--count", 0], "1 or more"),
        (["--array", "quad"], "array `quad`"),
        (["--rt60", 0.5, 0.2], "rt60 is [0.5, 0.2]"),
        (["--sounds", "loud"], "no setting loud"),
        (["--seconds", 0], "0.1 to 60 s"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(corpus, tmp_path, options, told):
    result = made(corpus, tmp_path / "set", "--count", 2, *options)
    assert result.returncode == 1 and told in result.stderr and "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(corpus, folder):
    result = made(corpus, folder)
    assert result.returncode == 1 and "is there already" in result.stderr
