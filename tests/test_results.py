"""Rows of results.json."""

import json
from dataclasses import replace

import numpy as np
import pytest

from spclap.evaluate.results import (
    ScoreConf,
    difference_rows,
    figures,
    kept_results,
    merge_results,
    model_rows,
    pairs_of,
    pooled_rows,
    save_values,
)

CONF = ScoreConf(bootstrap=200, pairs=[["scl", "single"], ["scl", "absent"]])


def test_figures_of_ranks():
    values = figures({"rank_a2t_1src": np.array([0, 4, 9, 20]), "direction_1src": np.array([True, False])})
    assert {k: v.mean() for k, v in values.items()} == {
        "r1_a2t_1src": 25, "r5_a2t_1src": 50, "r10_a2t_1src": 75, "meanrank_a2t_1src": 9.25, "direction_1src": 50,
    }  # fmt: skip


def test_rows_and_differences():
    models = {"scl": {"m": np.array([100.0, 100, 0, 100])}, "single": {"m": np.array([100.0, 0, 0, 0])}}
    (row,) = model_rows("scl", models["scl"], {"corpus": "c", "seed": 0}, CONF)
    assert row["value"] == 75 and row["n"] == 4 and row["low"] <= 75 <= row["high"]
    assert pairs_of(models, CONF.pairs) == [("scl", "single")]
    (difference,) = difference_rows(models, [("scl", "single")], {"corpus": "c", "seed": 0}, CONF)
    assert difference["tag"] == "scl-single" and difference["value"] == 50


def test_models_of_other_numbers_of_scenes_have_no_difference():
    models = {"scl": {"m": np.ones(4), "k": np.ones(4)}, "single": {"m": np.ones(3), "k": np.zeros(4)}}
    rows = difference_rows(models, [("scl", "single")], {"corpus": "c", "seed": 0}, CONF)
    assert [row["metric"] for row in rows] == ["k"]


def test_a_pattern_pairs_every_tag_that_fits():
    wanted = [["scl_*", "scl"], ["scl*", "scl"], ["*", "absent"]]
    pairs = pairs_of(("scl", "scl_b", "scl_a", "single", "concat_scl_a"), wanted)
    assert pairs == [("scl_a", "scl"), ("scl_b", "scl")]


@pytest.mark.parametrize(("key", "value"), [("bootstrap", 0), ("pairs", ["scl", "single"])])
def test_bad_score_config_is_refused(key, value):
    with pytest.raises(ValueError, match=key):
        replace(CONF, **{key: value})


def test_pooled_rows_are_the_mean_over_seeds_of_each_scene(tmp_path):
    rng = np.random.default_rng(0)
    stored = {}
    for seed in (0, 1, 2):
        for tag in ("scl", "single"):
            folder = tmp_path / f"seed{seed}" / tag
            folder.mkdir(parents=True)
            stored[seed, tag] = 100.0 * (rng.random(50) < 0.6)
            save_values(folder, {"m": stored[seed, tag]}, "these")
    for name, scenes, count in (("seed3", "others", 40), ("seed0.bak", "these", 50)):  # neither is pooled
        (tmp_path / name / "scl").mkdir(parents=True)
        save_values(tmp_path / name / "scl", {"m": np.ones(count)}, scenes)
    rows = {row["tag"]: row for row in pooled_rows(tmp_path, "c", "these", CONF)}
    assert rows["scl"]["value"] == pytest.approx(np.mean([stored[s, "scl"] for s in (0, 1, 2)]))
    assert rows["scl-single"]["value"] == pytest.approx(rows["scl"]["value"] - rows["single"]["value"])
    assert rows["scl"]["seed"] == "0+1+2" and rows["scl"]["n"] == 50


def test_each_model_is_pooled_over_its_own_seeds_and_a_difference_over_those_of_both(tmp_path):
    rng = np.random.default_rng(0)
    stored = {}
    for tag, seeds in (("scl", (0, 1, 2)), ("single", (1, 2, 3)), ("alone", (2,))):
        for seed in seeds:
            folder = tmp_path / f"seed{seed}" / tag
            folder.mkdir(parents=True)
            stored[tag, seed] = 100.0 * (rng.random(40) < 0.5)
            save_values(folder, {"m": stored[tag, seed]}, "these")
    rows = {(row["tag"], row["seed"]): row["value"] for row in pooled_rows(tmp_path, "c", "these", CONF)}
    assert rows == pytest.approx({
        ("scl", "0+1+2"): np.mean([stored["scl", seed] for seed in (0, 1, 2)]),
        ("single", "1+2+3"): np.mean([stored["single", seed] for seed in (1, 2, 3)]),
        ("scl-single", "1+2"): np.mean([stored["scl", seed] - stored["single", seed] for seed in (1, 2)]),
    })  # fmt: skip


def test_results_outlive_weights_but_not_other_scenes(tmp_path):
    rows = [{"tag": "concat_scl", "value": 1.0}]
    for tag, scenes in (("concat_scl", "these"), ("frames_scl", "others"), ("scl", "these")):
        (tmp_path / tag).mkdir()
        save_values(tmp_path / tag, {"m": np.ones(3)}, scenes)
        (tmp_path / tag / "scores.json").write_text(json.dumps({"results": rows}))
    (tmp_path / "scl" / "done.json").write_text("{}")  # a model that can be scored again
    values, found = kept_results(tmp_path, "these")
    assert list(values) == ["concat_scl"] and found == rows


def test_one_seed_gives_no_pooled_rows(tmp_path):
    (tmp_path / "seed0" / "scl").mkdir(parents=True)
    save_values(tmp_path / "seed0" / "scl", {"m": np.ones(3)}, "these")
    assert pooled_rows(tmp_path, "c", "these", CONF) == []


def test_results_of_other_corpora_and_seeds_stay(tmp_path):
    path = tmp_path / "results.json"
    merge_results(path, [{"corpus": "a", "seed": 0, "v": 1}, {"corpus": "b", "seed": 0, "v": 2}])
    merge_results(path, [{"corpus": "a", "seed": 1, "v": 3}, {"corpus": "a", "seed": "0+1", "v": 4}])
    merge_results(path, [{"corpus": "a", "seed": 0, "v": 5}, {"corpus": "a", "seed": "0+1", "v": 6}])
    assert [row["v"] for row in json.loads(path.read_text())] == [2, 3, 5, 6]
