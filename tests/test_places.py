"""Scoring in places not trained on."""

import shutil

import numpy as np
import pytest
import yaml
from programs import run
from small_training import train
from test_sofa import RATE, delay_of, late, toy_sofa

from spclap.data.datadir import load_datadir
from spclap.evaluate.benchmarks.places import PlacesConf, places
from spclap.evaluate.frozen import RenderedSet
from spclap.scene.sampler import SceneSampler
from spclap.space.array import array_of
from spclap.verbs.models import load_embedder

TOLD = {
    "spatial_encoder": "masks", "spatial_encoder_conf": {"looks": 5, "channels": 4, "hidden": 4},
    "fusion": "directions", "fusion_conf": {"depth": 7}, "dim": 20,
}  # fmt: skip


@pytest.fixture(scope="module")
def models(corpus, tmp_path_factory):
    """One that is told what it hears through, and one that cannot be."""
    folder = tmp_path_factory.mktemp("exp")
    for name, config in (("told", TOLD), ("other", {})):
        assert train(corpus, folder / name, "--max_epoch", "1", config=config).returncode == 0
    return [folder / "told", folder / "other"]


def score(corpus, models, out, *options, **changes):
    """Into the folder `out`, with the configuration beside it."""
    conf = out.with_suffix(".yaml")
    places = {"same": {}, "XY": {"arrays": {"xy:90": 1}, "told": ["pair:0.3"]}}
    values = {"seed": 0, "rooms": 2, "scenes": {1: 12, 2: 12}, "places": places, "measured": {}}
    conf.write_text(yaml.safe_dump({**values, **changes}, sort_keys=False))
    given = ["--data", corpus.data, "--dump", corpus.dump, "--out", out, "--conf", conf]
    return run("spclap.cli", "score", *models, "--benchmark", "places", *given, *options)


def rows(path) -> list[list[str]]:
    """Cells of a table in Markdown, without its head."""
    lines = [line for line in path.read_text().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


WAYS = {"same": ["its own", "nothing"], "XY": ["its own", "nothing", "pair:0.3"]}


def test_every_place_model_and_way_has_its_line(corpus, models, tmp_path):
    result = score(corpus, models, tmp_path / "out")
    assert result.returncode == 0, result.stderr[-2000:]
    lines = rows(tmp_path / "out" / "table.md")
    ways = {"told": WAYS, "other": dict.fromkeys(WAYS, ["(cannot be)"])}
    expected = [[place, tag, way] for place in WAYS for tag in ways for way in ways[tag][place]]
    assert [line[:3] for line in lines] == expected
    with np.load(tmp_path / "out" / "outcomes.npz") as kept:
        found = dict(kept)
    for place, tag, way, *cells in lines:
        for metric, cell in zip(("direction_1src", "direction_2src", "assignment_2src"), cells, strict=True):
            values = found[f"{place}/{tag}/{way}/{metric}"]
            assert len(values) == 12 and float(cell.split()[0]) == pytest.approx(values.mean(), abs=0.06)
    assert f"Models: {models[0]} {models[1]}." in (tmp_path / "out" / "table.md").read_text()
    assert (tmp_path / "out" / "places.png").read_bytes().startswith(b"\x89PNG")


def test_a_place_is_heard_through_its_array_and_told_what_is_said(corpus, models, tmp_path):
    values = {"same": {}, "XY": {"arrays": {"xy:90": 1}}, "spheres": {"arrays": {"sphere:0.07-0.1": 1}}}
    measured = {"head": {"path": str(toy_sofa(tmp_path / "head.sofa"))}, "gone": {"path": str(tmp_path / "none.sofa")}}
    conf = PlacesConf(seed=0, rooms=2, scenes={1: 1}, places=values, measured=measured)
    found = places(conf, corpus, tmp_path / "banks", nj=1)
    arrays = {name: {place.bank.array(room) for room in place.bank.rooms()} for name, place in found.items()}
    assert arrays["same"] == {array_of("pair:0.17")} and arrays["XY"] == {array_of("xy:90")}
    assert len(arrays["spheres"]) == 2 and arrays["head"] == {array_of(f"head:{tmp_path / 'head.sofa'}")}
    assert "gone" not in found
    for azimuth, response in zip(found["head"].bank.table.azimuth, found["head"].bank.rirs, strict=True):
        assert delay_of(response) == pytest.approx(late(azimuth), abs=1.1 / RATE)
    model = load_embedder(str(models[0]))
    sampler = SceneSampler(load_datadir(corpus.data / "test"), found["XY"].bank, [found["XY"].sounds])
    scenes = sampler.fixed([0], 1, 3, "x")
    sounds = RenderedSet.of("x", scenes, corpus, found["XY"].bank, "test", 1.0)
    ways = {"own": None, "told": array_of("xy:90"), "other": array_of("pair:0.17")}
    own, told, other = (
        model.embed_audio(sounds.waves(slice(None)), RATE, sounds.arrays if array is None else array)
        for array in ways.values()
    )
    np.testing.assert_array_equal(own, told)
    assert np.abs(own - other).max() > 1e-4


def test_models_of_one_name_are_told_apart_by_their_folders(corpus, models, tmp_path):
    shutil.copytree(models[0], tmp_path / "told")
    result = score(corpus, [models[0], tmp_path / "told"], tmp_path / "out", places={"same": {}})
    assert result.returncode == 0, result.stderr[-2000:]
    for tag in (models[0], tmp_path / "told"):
        assert f"| same | {tag} | " in (tmp_path / "out" / "table.md").read_text()


def test_measured_heads_are_places_too_and_those_that_are_not_there_are_left_out(corpus, models, tmp_path):
    head = {"path": str(toy_sofa(tmp_path / "head.sofa"))}
    measured = {"anechoic": head, "tail": {**head, "rt60": [0.1, 0.2]}, "gone": {"path": "none.sofa"}}
    result = score(corpus, models[:1], tmp_path / "out", places={}, measured=measured)
    assert result.returncode == 0, result.stderr[-2000:]
    assert [line[0] for line in rows(tmp_path / "out" / "table.md")] == ["anechoic"] * 2 + ["tail"] * 2
    assert "none.sofa is not there, so `gone` is left out" in result.stderr


def test_bad_input_is_named_and_nothing_is_written(corpus, models, tmp_path):
    for changes, message in (
        ({"places": {"a": {"array": "ortf"}}}, "places: a"),
        ({"places": {"a": {"arrays": {"pair:-1": 1}}}}, "array `pair:-1`"),
        ({"places": {"a": {"told": ["quad"]}}}, "array `quad`"),
        ({"measured": {"a": {"path": "a", "rt60": 0.2}}}, "rt60 is 0.2"),
        ({"scenes": {1: 0}}, "both must be 1 or more"),
        ({"places": {}}, "no places"),
        ({"places": None}, "places is None"),
        ({"measured": {"a": None}}, "it must be names with"),
        ({"places": {"a": {"told": "ortf"}}}, "told is ortf; it must be a list"),
        ({"places": {"a": {"seconds": 0.01}}}, "seconds is 0.01; it must be 0.1 or more"),
    ):
        result = score(corpus, models, tmp_path / "out", **changes)
        assert result.returncode == 1 and message in result.stderr and "Traceback" not in result.stderr
    result = score(corpus, [tmp_path / "none"], tmp_path / "out")
    assert result.returncode == 1 and "none: no training, model directory or CLAP of transformers" in result.stderr
    assert not (tmp_path / "out").exists()
