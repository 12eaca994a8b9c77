"""What docs/results holds is of one piece: figures are those of the kept outcomes."""

import json
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml
from programs import ROOT

from spclap.data.stamp import digest
from spclap.evaluate.intervals import Clusters

KEPT = ROOT / "docs" / "results"
MODELS = sorted(path.parent for path in KEPT.glob("*/seed*/*/scores.json"))
CORPORA = sorted(path.parent for path in KEPT.glob("*/compared.json"))
NO_MODELS = ("ceiling", "direct_sound")


@cache
def outcomes(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "outcomes.npz") as stored:
        return dict(stored)


@cache
def clusters(corpus: Path, scenes: str) -> dict[str, Clusters]:
    """Set of test scenes -> the recordings that they were made of; scenes, their digest."""
    sets = json.loads((corpus / "recordings.json").read_text())[scenes]
    return {name: Clusters(rows) for name, rows in sets.items() if name != "clips"}


def check(row: dict, values: np.ndarray, known: dict[str, Clusters], difference: bool) -> None:
    """A row against the outcomes of its scenes."""
    own = known[re.search(r"\dsrc.*", row["metric"])[0]]
    whole = None if difference or row["metric"].startswith("meanrank") else 100.0
    assert [row[name] for name in ("value", "low", "high")] == pytest.approx(own.mean(values, whole))
    assert row["n"] == np.isfinite(values).sum() and row["clips"] == own.count


@pytest.mark.parametrize("folder", MODELS, ids=lambda path: str(path.relative_to(KEPT)))
def test_figures_of_a_model_are_those_of_its_outcomes(folder):
    about = json.loads((folder / "scores.json").read_text())
    values = outcomes(folder)
    assert about["outcomes"] == digest(folder / "outcomes.npz") and about["scenes"] == str(values["scenes"])
    assert {row["metric"] for row in about["results"]} == values.keys() - {"scenes"}
    for row in about["results"]:
        assert (row["corpus"], f"seed{row['seed']}", row["tag"]) == folder.parts[-3:]
        check(row, values[row["metric"]], clusters(folder.parents[1], about["scenes"]), False)


@pytest.mark.parametrize("corpus", CORPORA, ids=lambda path: path.name)
def test_differences_and_pooled_seeds_are_those_of_the_outcomes(corpus):
    rows = [row for row in json.loads((corpus / "compared.json").read_text()) if row["tag"] not in NO_MODELS]
    for row in rows:
        of_seeds = [
            [outcomes(corpus / f"seed{seed}" / tag) for tag in row["tag"].split("-")]
            for seed in str(row["seed"]).split("+")
        ]
        (scenes,) = {str(own["scenes"]) for pair in of_seeds for own in pair}
        values = [pair[0][row["metric"]] - sum(own[row["metric"]] for own in pair[1:]) for pair in of_seeds]
        check(row, np.mean(values, axis=0), clusters(corpus, scenes), "-" in row["tag"])
        if len(values) > 1:
            assert row["seed_sd"] == pytest.approx(np.std([np.nanmean(own) for own in values], ddof=1))


def test_settings_say_what_each_model_is():
    said = yaml.safe_load((KEPT / "settings.yaml").read_text())
    kept = defaultdict(set)
    for path in (*KEPT.glob("*/seed*/*/scores.json"), *KEPT.glob("*/seed*/*/table1.json")):
        kept[path.parts[-4]].add(path.parent.name)
    named = {corpus: [name for own in groups.values() for name in own["models"]] for corpus, groups in said.items()}
    assert {corpus: sorted(own) for corpus, own in kept.items()} == {
        corpus: sorted(own) for corpus, own in named.items()
    }


def lines(path: Path) -> list[list[str]]:
    """Cells of the tables of a page, heads left out."""
    rows = [line.strip("|").split("|") for line in path.read_text().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows]


@pytest.mark.parametrize("name", ["places", "places_clean"])
def test_figures_of_places_are_those_of_their_outcomes(name):
    folder = KEPT / "mini" / name
    values = outcomes(folder)
    head, _, *rows = lines(folder / "table.md")
    shown = {
        "/".join([*row[:3], metric]): cell.split()[0]
        for row in rows
        for metric, cell in zip(head[3:], row[3:], strict=True)
        if cell != "-"
    }
    assert shown == {metric: f"{(100.0 * own).mean():.1f}" for metric, own in values.items()}


def test_figures_of_table_1_are_those_of_its_outcomes():
    head, _, *rows = lines(KEPT / "mini" / "table1" / "table.md")
    rows = [row for row in rows if len(row) == len(head) and (KEPT / "mini" / "seed0" / row[1]).is_dir()]
    assert len(rows) == 7
    for _, model, seeds, *cells in rows:
        files = [KEPT / "mini" / f"seed{seed}" / model / "table1.json" for seed in seeds.split("+")]
        values = [json.loads(file.read_text())["values"] for file in files]
        for metric, cell in zip(head[3:], cells, strict=True):
            assert cell.split()[0] == f"{np.mean([own[metric] for own in values]):.1f}", (model, metric)
