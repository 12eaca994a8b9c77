"""Rows of results.json."""

import json

import numpy as np
import pytest

from spclap.data.stamp import digest
from spclap.errors import DataError
from spclap.evaluate.results import (
    FixedSet,
    ScoreConf,
    figures,
    kept_values,
    merge_results,
    pairs_of,
    pooled_rows,
    read_scored,
    save_values,
)

WANTED = [["scl", "single"], ["scl", "absent"]]
COMMON = {"corpus": "c", "seed": 0}


def fixed_set(count: int) -> FixedSet:
    """Scenes of one source, two of each recording."""
    return FixedSet({"1src": [(f"tape{index // 2}",) for index in range(count)]})


def save(folder, values: dict, scenes: str) -> None:
    """What stage 5 leaves in a model's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    save_values(folder, values, scenes)
    (folder / "scores.json").write_text(json.dumps({"outcomes": digest(folder / "outcomes.npz")}))


def test_figures_of_ranks():
    values = figures({"rank_a2t_1src": np.arange(20), "direction_1src": np.array([True, False])})
    assert {k: v.mean() for k, v in values.items()} == {
        "r1_a2t_1src": 5, "r5_a2t_1src": 25, "r10_a2t_1src": 50, "meanrank_a2t_1src": 10.5, "direction_1src": 50,
    }  # fmt: skip


def test_rows_and_differences():
    models = {"scl": {"m_1src": np.array([100.0, 100, 0, 100])}, "single": {"m_1src": np.array([100.0, 0, 0, 0])}}
    test = fixed_set(4)
    (row,) = test.rows("scl", models["scl"], COMMON)
    assert row["value"] == 75 and (row["n"], row["clips"]) == (4, 2) and 0 < row["low"] < 75 < row["high"] < 100
    assert (row["low"], row["high"]) == test.clusters["1src"].mean(models["scl"]["m_1src"], 100)[1:]
    assert pairs_of(models, WANTED) == [("scl", "single")]
    (difference,) = test.difference_rows(models, [("scl", "single")], COMMON)
    assert difference["tag"] == "scl-single" and difference["value"] == 50 and difference["low"] < 0


def test_scenes_that_one_model_has_no_figure_for_are_not_compared():
    """SELD has none for sounds without a class."""
    seld = np.array([100.0, np.nan, 0, np.nan, 100, 100])
    models = {"scl": {"m_1src": np.zeros(6), "k_1src": np.ones(6)}, "seld": {"m_1src": seld, "k_1src": seld * np.nan}}
    (row,) = fixed_set(6).difference_rows(models, [("scl", "seld")], COMMON)
    assert row["metric"] == "m_1src" and row["value"] == -75 and row["n"] == 4


def test_a_pattern_pairs_every_tag_that_fits():
    wanted = [["scl_*", "scl"], ["scl*", "scl"], ["*", "absent"]]
    pairs = pairs_of(("scl", "scl_b", "scl_a", "single", "concat_scl_a"), wanted)
    assert pairs == [("scl_a", "scl"), ("scl_b", "scl")]


def test_bad_score_config_is_refused():
    with pytest.raises(ValueError, match="pairs"):
        ScoreConf(["scl", "single"])


def test_pooled_rows_are_the_mean_over_seeds_of_each_scene(tmp_path):
    rng = np.random.default_rng(0)
    stored = {}
    for seed in (0, 1, 2):
        for tag in ("scl", "single"):
            stored[seed, tag] = 100.0 * (rng.random(50) < 0.6)
            save(tmp_path / f"seed{seed}" / tag, {"m_1src": stored[seed, tag]}, "these")
    for name, scenes, count in (("seed3", "others", 40), ("seed0.bak", "these", 50)):  # neither is pooled
        save(tmp_path / name / "scl", {"m_1src": np.ones(count)}, scenes)
    rows = {row["tag"]: row for row in pooled_rows(tmp_path, "c", "these", fixed_set(50), WANTED)}
    assert rows["scl"]["value"] == pytest.approx(np.mean([stored[s, "scl"] for s in (0, 1, 2)]))
    assert rows["scl-single"]["value"] == pytest.approx(rows["scl"]["value"] - rows["single"]["value"])
    assert rows["scl"]["seed"] == "0+1+2" and rows["scl"]["n"] == 50
    means = {tag: np.array([stored[seed, tag].mean() for seed in (0, 1, 2)]) for tag in ("scl", "single")}
    assert rows["scl"]["seed_sd"] == pytest.approx(means["scl"].std(ddof=1))
    assert rows["scl-single"]["seed_sd"] == pytest.approx((means["scl"] - means["single"]).std(ddof=1))


def test_each_model_is_pooled_over_its_own_seeds_and_a_difference_over_those_of_both(tmp_path):
    rng = np.random.default_rng(0)
    stored = {}
    for tag, seeds in (("scl", (0, 1, 2)), ("single", (1, 2, 3)), ("alone", (2,))):
        for seed in seeds:
            stored[tag, seed] = 100.0 * (rng.random(40) < 0.5)
            save(tmp_path / f"seed{seed}" / tag, {"m_1src": stored[tag, seed]}, "these")
    found = pooled_rows(tmp_path, "c", "these", fixed_set(40), WANTED)
    rows = {(row["tag"], row["seed"]): row["value"] for row in found}
    assert rows == pytest.approx({
        ("scl", "0+1+2"): np.mean([stored["scl", seed] for seed in (0, 1, 2)]),
        ("single", "1+2+3"): np.mean([stored["single", seed] for seed in (1, 2, 3)]),
        ("scl-single", "1+2"): np.mean([stored["scl", seed] - stored["single", seed] for seed in (1, 2)]),
    })  # fmt: skip


def test_results_outlive_weights_but_not_other_scenes(tmp_path):
    for tag, scenes in (("concat_scl", "these"), ("frames_scl", "others"), ("scl", "these")):
        save(tmp_path / tag, {"m_1src": np.ones(3)}, scenes)
    (tmp_path / "scl" / "done.json").write_text("{}")  # a model that can be scored again
    assert {tag: list(values["m_1src"]) for tag, values in kept_values(tmp_path, "these").items()} == {
        "concat_scl": [1, 1, 1]
    }


def test_outcomes_that_were_changed_are_refused(tmp_path):
    save(tmp_path / "scl", {"m_1src": np.ones(3)}, "these")
    save_values(tmp_path / "scl", {"m_1src": np.zeros(3)}, "these")
    with pytest.raises(DataError, match=r"outcomes\.npz: missing or changed since it was scored"):
        kept_values(tmp_path, "these")
    (tmp_path / "scl" / "scores.json").write_text("")
    with pytest.raises(DataError, match=r"scores\.json: cannot be used"):
        kept_values(tmp_path, "these")


def test_one_seed_gives_no_pooled_rows(tmp_path):
    save(tmp_path / "seed0" / "scl", {"m_1src": np.ones(3)}, "these")
    assert pooled_rows(tmp_path, "c", "these", fixed_set(3), WANTED) == []


def test_results_of_other_corpora_and_seeds_stay(tmp_path):
    path = tmp_path / "results.json"
    merge_results(path, [{"corpus": "a", "seed": 0, "v": 1}, {"corpus": "b", "seed": 0, "v": 2}])
    merge_results(path, [{"corpus": "a", "seed": 1, "v": 3}, {"corpus": "a", "seed": "0+1", "v": 4}])
    merge_results(path, [{"corpus": "a", "seed": 0, "v": 5}, {"corpus": "a", "seed": "0+1", "v": 6}])
    assert [row["v"] for row in json.loads(path.read_text())] == [2, 3, 5, 6]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\x00\xff"])
def test_a_damaged_scores_file_counts_no_more(tmp_path, content, caplog):
    assert read_scored(tmp_path / "scores.json") == {} and not caplog.records
    (tmp_path / "scores.json").write_bytes(content)
    assert read_scored(tmp_path / "scores.json") == {} and "scores.json: damaged" in caplog.text
