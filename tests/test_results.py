"""Rows of results.json."""

import json

import numpy as np
import pytest

from spclap.data.stamp import digest
from spclap.errors import DataError
from spclap.evaluate.benchmarks.fixed import PROTOCOL, ScoreConf, all_kept
from spclap.evaluate.figures import Figures, figures, pairs_of, pooled_rows, rows_of
from spclap.evaluate.record import keep, kept, kept_about, merge_results, write_outcomes

WANTED = [["scl", "single"], ["scl", "absent"]]


def fixed_set(count: int) -> Figures:
    """Scenes of one source, two of each recording."""
    return Figures({"1src": [(f"tape{index // 2}",) for index in range(count)]})


def save(folder, values: dict, scenes: str = "these", protocol: dict = PROTOCOL) -> None:
    """What stage 5 leaves in a model's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    keep(folder, values, {"scenes": scenes, "protocol": protocol})


def pooled(folder, count: int) -> list[dict]:
    return pooled_rows(all_kept(folder, "these"), fixed_set(count), WANTED, "c")


def test_figures_of_ranks():
    values = figures({"rank_a2t_1src": np.arange(20), "direction_1src": np.array([True, False])})
    assert {k: v.mean() for k, v in values.items()} == {
        "r1_a2t_1src": 5, "r5_a2t_1src": 25, "r10_a2t_1src": 50, "meanrank_a2t_1src": 10.5, "direction_1src": 50,
    }  # fmt: skip


def test_rows_and_differences():
    models = {"scl": {"m_1src": np.array([100.0, 100, 0, 100])}, "single": {"m_1src": np.array([100.0, 0, 0, 0])}}
    test = fixed_set(4)
    (row,) = rows_of({"scl": test.of(models["scl"])}, {"corpus": "c", "seed": 0})
    assert row["value"] == 75 and (row["n"], row["clips"]) == (4, 2) and 0 < row["low"] < 75 < row["high"] < 100
    assert (row["low"], row["high"]) == test.clusters["1src"].mean(models["scl"]["m_1src"], 100)[1:]
    assert (row["tag"], row["metric"], row["corpus"], row["seed"]) == ("scl", "m_1src", "c", 0)
    assert pairs_of(models, WANTED) == [("scl", "single")]
    difference = test.compared(models, [("scl", "single")])["scl-single"]["m_1src"]
    assert difference["value"] == 50 and difference["low"] < 0


def test_scenes_that_one_model_has_no_figure_for_are_not_compared():
    """SELD has none for sounds without a class."""
    seld = np.array([100.0, np.nan, 0, np.nan, np.nan, np.nan])
    found = fixed_set(6).differences(
        {"m_1src": np.zeros(6), "k_1src": np.ones(6)}, {"m_1src": seld, "k_1src": seld * np.nan}
    )
    assert list(found) == ["m_1src"] and found["m_1src"]["value"] == -50
    assert (found["m_1src"]["n"], found["m_1src"]["clips"]) == (2, 2)


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
            save(tmp_path / f"seed{seed}" / tag, {"m_1src": stored[seed, tag]})
    save(tmp_path / "seed0.bak" / "scl", {"m_1src": np.ones(50)})
    save(tmp_path / "seed0" / "scl.old1", {"m_1src": np.ones(50)})
    rows = {row["tag"]: row for row in pooled(tmp_path, 50)}
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
            save(tmp_path / f"seed{seed}" / tag, {"m_1src": stored[tag, seed]})
    rows = {(row["tag"], row["seed"]): row["value"] for row in pooled(tmp_path, 40)}
    assert rows == pytest.approx({
        ("scl", "0+1+2"): np.mean([stored["scl", seed] for seed in (0, 1, 2)]),
        ("single", "1+2+3"): np.mean([stored["single", seed] for seed in (1, 2, 3)]),
        ("scl-single", "1+2"): np.mean([stored["scl", seed] - stored["single", seed] for seed in (1, 2)]),
    })  # fmt: skip


def test_seeds_are_pooled_in_what_all_have(tmp_path):
    save(tmp_path / "seed0" / "scl", {"m_1src": np.ones(4), "new_1src": np.ones(4)})
    save(tmp_path / "seed1" / "scl", {"m_1src": np.zeros(4)})
    assert [(row["metric"], row["value"]) for row in pooled(tmp_path, 4)] == [("m_1src", 0.5)]


def test_other_scenes_and_protocols_never_share_a_column(tmp_path, caplog):
    """Each metric by what is said of it: assignment is asked as ever, retrieval was another thing."""
    values = {"r1_a2t_1src": np.ones(3), "direction_1src": np.ones(3), "reworded_direction_1src": np.ones(3)}
    save(tmp_path / "whole", values)
    save(tmp_path / "elsewhere", values, scenes="others")
    save(tmp_path / "otherwise", values, protocol={**PROTOCOL, "retrieval": "each caption is right once"})
    save(tmp_path / "unsaid", values, protocol={key: PROTOCOL[key] for key in ("retrieval", "direction")})
    found = {
        name: list(kept(tmp_path / name, "these", PROTOCOL)) for name in ("whole", "elsewhere", "otherwise", "unsaid")
    }
    assert found == {
        "whole": list(values), "elsewhere": [], "otherwise": list(values)[1:], "unsaid": list(values)[:2],
    }  # fmt: skip
    told = [record.message for record in caplog.records]
    assert len(told) == 3 and "elsewhere: scored on other scenes, left out" in told[0]
    assert "otherwise: asked r1_a2t_1src in another way, left out" in told[1]


def test_outcomes_of_an_older_form_are_read(tmp_path):
    """With the digest of the scenes among them."""
    write_outcomes(tmp_path, {"scenes": np.array("these"), "direction_1src": np.array([100.0, 0.0])})
    about = {"scenes": "these", "protocol": PROTOCOL, "outcomes": digest(tmp_path / "outcomes.npz")}
    (tmp_path / "scores.json").write_text(json.dumps(about))
    assert {metric: list(own) for metric, own in kept(tmp_path, "these", PROTOCOL).items()} == {
        "direction_1src": [100, 0]
    }


def test_outcomes_that_were_changed_are_refused(tmp_path):
    save(tmp_path, {"m_1src": np.ones(3)})
    write_outcomes(tmp_path, {"m_1src": np.zeros(3)})
    with pytest.raises(DataError, match=r"outcomes\.npz: missing or changed since it was scored"):
        kept(tmp_path, "these", PROTOCOL)
    for content in ("", "[]", "{}", '{"outcomes": 3, "protocol": 4}'):
        (tmp_path / "scores.json").write_text(content)
        with pytest.raises(DataError, match=r"scores\.json"):
            kept(tmp_path, "these", PROTOCOL)


def test_one_seed_gives_no_pooled_rows(tmp_path):
    save(tmp_path / "seed0" / "scl", {"m_1src": np.ones(3)})
    assert pooled(tmp_path, 3) == []


def test_results_of_other_corpora_and_seeds_stay(tmp_path):
    path = tmp_path / "results.json"
    merge_results(path, [{"corpus": "a", "seed": 0, "v": 1}, {"corpus": "b", "seed": 0, "v": 2}])
    merge_results(path, [{"corpus": "a", "seed": 1, "v": 3}, {"corpus": "a", "seed": "0+1", "v": 4}])
    merge_results(path, [{"corpus": "a", "seed": 0, "v": 5}, {"corpus": "a", "seed": "0+1", "v": 6}])
    assert [row["v"] for row in json.loads(path.read_text())] == [2, 3, 5, 6]
    merge_results(path, [{"corpus": "a", "seed": 0, "v": 7}], lambda row: row["seed"] == 1)
    assert [row["v"] for row in json.loads(path.read_text())] == [2, 7]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\x00\xff"])
def test_a_damaged_scores_file_counts_no_more(tmp_path, content, caplog):
    assert kept_about(tmp_path) == {} and not caplog.records
    (tmp_path / "scores.json").write_bytes(content)
    assert kept_about(tmp_path) == {} and "scores.json: damaged" in caplog.text
