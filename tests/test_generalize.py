"""Scoring in places not trained on."""

import json
import shutil

import numpy as np
import pytest
import yaml
from programs import run
from small_training import train
from test_head import RATE, delay_of, late, toy_sofa

from spclap.bin.generalize import GeneralizeConf, banks


@pytest.fixture(scope="module")
def models(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exp")
    for seed, name in enumerate(("one", "other")):
        assert train(corpus, folder / name, "--max_epoch", "1", "--seed", str(seed)).returncode == 0
    return [folder / "one", folder / "other"]


def generalize(corpus, models, out, *options, **changes):
    conf = out.parent / "generalize.yaml"
    values = {"seed": 0, "rooms": 2, "scenes": {1: 12, 2: 12}, "conditions": {"same": {}, "wide": {"spacing": 0.3}}}
    conf.write_text(yaml.safe_dump({**values, "heads": {"head": {}}, **changes}))
    given = ["--data", corpus.data, "--dump", corpus.dump, "--models", *models, "--out", out, "--conf", conf]
    return run("spclap.bin.generalize", *given, *options)


def rows(path) -> list[list[str]]:
    """Cells of a table in Markdown, without its head."""
    lines = [line for line in path.read_text().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_condition_and_model_has_its_line(corpus, models, tmp_path):
    result = generalize(corpus, models, tmp_path / "table.md")
    assert result.returncode == 0, result.stderr[-2000:]
    lines = rows(tmp_path / "table.md")
    assert [line[:2] for line in lines] == [
        [condition, tag] for condition in ("same", "wide") for tag in ("one", "other", "one-other")
    ]
    outcomes = json.loads((tmp_path / "table.json").read_text())
    for condition, tag, *cells in lines:
        for metric, cell in zip(("direction_1src", "direction_2src", "assignment_2src"), cells, strict=True):
            values = [np.array(outcomes[condition][name][metric]) for name in tag.split("-")]
            assert [len(scenes) for scenes in values] == [12] * len(values)
            assert float(cell.split()[0]) == pytest.approx((values[0] - sum(values[1:])).mean(), abs=0.06)
    assert any(
        outcomes["same"]["one"][metric] != outcomes["same"]["other"][metric] for metric in outcomes["same"]["one"]
    )
    assert "no --sofa" in result.stderr and f"Models: {models[0]} {models[1]}." in (tmp_path / "table.md").read_text()


def test_a_condition_changes_what_it_says(corpus, tmp_path):
    conditions = {"same": {}, "wide": {"spacing": 0.3}, "drawn": {"spacing": [0.1, 0.3]}}
    conf = GeneralizeConf(seed=0, rooms=2, scenes={1: 1}, conditions=conditions, heads={"head": {}})
    found = banks(conf, corpus, tmp_path / "banks", toy_sofa(tmp_path / "head.sofa"), nj=1)
    spacings = {
        name: [float(np.linalg.norm(np.diff(json.loads(mics), axis=0))) for mics in found[name].table.mics]
        for name in conditions
    }
    assert spacings["same"] == pytest.approx([corpus.simu.rooms.spacing] * len(spacings["same"]), abs=1e-4)
    assert spacings["wide"] == pytest.approx([0.3] * len(spacings["wide"]), abs=1e-4)
    rooms = np.round(spacings["drawn"], 4).reshape(2, -1)  # places of a room share a spacing
    assert (rooms == rooms[:, :1]).all() and rooms[0, 0] != rooms[1, 0] and (0.1 < rooms).all() and (rooms < 0.3).all()
    for azimuth, response in zip(found["head"].table.azimuth, found["head"].rirs, strict=True):
        assert delay_of(response) == pytest.approx(late(azimuth), abs=1.1 / RATE)


def test_models_of_one_name_are_told_apart_by_their_folders(corpus, models, tmp_path):
    shutil.copytree(models[0], tmp_path / "one")
    result = generalize(corpus, [models[0], tmp_path / "one"], tmp_path / "table.md", conditions={"same": {}})
    assert result.returncode == 0, result.stderr[-2000:]
    for tag in (models[0], tmp_path / "one", f"{models[0]}-{tmp_path / 'one'}"):
        assert f"| same | {tag} | " in (tmp_path / "table.md").read_text()


def test_a_measured_head_is_a_condition_too(corpus, models, tmp_path):
    head = toy_sofa(tmp_path / "head.sofa")
    tail = {"anechoic": {}, "tail": {"rt60": [0.1, 0.2]}}
    result = generalize(corpus, models[:1], tmp_path / "table.md", "--sofa", head, conditions={}, heads=tail)
    assert result.returncode == 0, result.stderr[-2000:]
    assert [line[0] for line in rows(tmp_path / "table.md")] == ["anechoic", "tail"]


def test_bad_input_is_named_and_nothing_is_written(corpus, models, tmp_path):
    for changes, message in (
        ({"conditions": {"a": {"spacings": 0.1}}}, "conditions: a"),
        ({"conditions": {"a": {"spacing": -1}}}, "spacing is -1"),
        ({"heads": {"a": {"rt60": 0.2}}}, "rt60 is 0.2"),
        ({"scenes": {1: 0}}, "both must be 1 or more"),
        ({"conditions": {}}, "no conditions"),
    ):
        result = generalize(corpus, models, tmp_path / "table.md", **changes)
        assert result.returncode == 1 and message in result.stderr and "Traceback" not in result.stderr
    result = generalize(corpus, [tmp_path / "none"], tmp_path / "table.md")
    assert result.returncode == 1 and "run stages 3 and 4" in result.stderr
    result = generalize(corpus, models, tmp_path / "table.json")
    assert result.returncode == 1 and "give it another suffix" in result.stderr
    assert not (tmp_path / "table.md").exists()
