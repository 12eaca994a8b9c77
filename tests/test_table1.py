"""The paper's protocols: their scenes, their ranks, and the program that fills its table."""

from collections import Counter
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import yaml
from programs import ROOT, run
from small_training import train

from spclap.errors import DataError
from spclap.evaluate.benchmarks.table1 import of_groups
from spclap.evaluate.protocols import Embeddings, captions_of_clips, own_retrieval, retrieval
from spclap.scene.grid import Grid
from spclap.space.wording import TEMPLATE


@pytest.fixture
def grid(clips, bank) -> Grid:
    return Grid(clips[:7], bank, seed=3)


def test_galleries_are_those_of_the_paper(grid, bank):
    """Of seven clips six make pairs and triples, as 972 of AudioCaps' 975 do."""
    assert len(grid.clips) == 6
    fixed = grid.fixed_rir()
    assert [scene.sources[0].clip for scene in fixed] == [clip.id for clip in grid.clips]
    assert len({scene.sources[0].rir for scene in fixed}) == 1 and fixed[0].sources[0].direction == "front"
    one = Counter((s.sources[0].clip, s.sources[0].direction) for s in grid.every_direction(1))
    assert len(one) == 6 * 5 and set(one.values()) == {1}
    two = grid.every_direction(2)
    pairs = Counter(tuple(source.clip for source in scene.sources) for scene in two)
    assert len(pairs) == 3 and set(pairs.values()) == {20}
    assert len({clip for pair in pairs for clip in pair}) == 6  # no clip in two pairs
    assert len({(s.sources[0].clip, s.sources[0].direction, s.sources[1].direction) for s in two}) == 60
    three = grid.one_direction(3)
    assert len(three) == 2 and all(len({s.direction for s in scene.sources}) == 3 for scene in three)
    orders = grid.every_order(3)
    assert len(orders) == 12 and len({scene.id for scene in orders}) == 12
    for number, scene in enumerate(three):
        places = {tuple((s.clip, s.direction) for s in order.sources) for order in orders[6 * number : 6 * number + 6]}
        clips, directions = zip(*[(s.clip, s.direction) for s in scene.sources], strict=True)
        assert places == {tuple(zip(order, directions, strict=True)) for order in permutations(clips)}
    for scene in two + orders:
        for source in scene.sources:
            assert bank.table.room[source.rir] == scene.room and bank.table.direction[source.rir] == source.direction


def test_sounds_of_one_kind_are_in_different_groups(clips, bank):
    """The twelve clips are of four kinds, so groups of four hold one of each."""
    groups = Grid(clips, bank, seed=3).groups(4)
    assert len(groups) >= 2 and all(len({clip.labels[-1] for clip in group}) == 4 for group in groups)


def test_as_many_groups_as_kinds_allow(clips, bank):
    """Two dogs, a bell and a drum make a triple in whatever order they come."""
    by_kind = {
        kind: [clip for clip in clips if clip.labels[-1] == kind] for kind in sorted({c.labels[-1] for c in clips})
    }
    first, second, third, *_ = by_kind.values()
    for seed in range(12):
        assert len(Grid([*first[:2], second[0], third[0]], bank, seed).groups(3)) == 1
        assert len(Grid([*first[:2], *second[:2], *third[:2]], bank, seed).groups(3)) == 2
    with pytest.raises(DataError, match="no 3 of 4 clips differ"):
        Grid([*first[:2], *second[:2]], bank, 0).groups(3)


def test_scenes_depend_on_the_seed_alone(grid, clips, bank):
    assert Grid(clips[:7], bank, 3).one_direction(2) == grid.one_direction(2)
    assert Grid(clips[:7], bank, 4).one_direction(2) != grid.one_direction(2)
    assert len({scene.sources[0].direction for n in range(8) for scene in Grid(clips, bank, n).one_direction(1)}) == 5


def test_scenes_are_in_all_rooms_and_at_all_places(clips, bank):
    """But for those at one place, which the paper has too."""
    grid = Grid(clips, bank, seed=3)
    for scenes in (grid.every_direction(1), grid.every_direction(2), grid.every_order(3)):
        found = Counter(scene.room for scene in scenes)
        assert found.keys() == set(bank.rooms()) and max(found.values()) < 2 * len(scenes) / len(bank.rooms())
    every = [source for size in (1, 2) for scene in grid.every_direction(size) for source in scene.sources]
    assert {source.rir for source in every} == set(range(len(bank.rirs)))
    assert {(source.start, source.gain_db) for source in every} == {(0.0, 0.0)}


def test_intervals_resample_groups_of_queries():
    outcomes = np.array([True, True, False, False, True, False])
    assert of_groups(outcomes, 3).tolist() == [100, 0, 50]


def test_scenes_that_say_the_same_stay_in_the_papers_galleries(grid):
    embeddings = Embeddings(Fake())
    scenes = grid.fixed_rir()
    embeddings.add([*scenes, scenes[0]], np.random.default_rng(9).standard_normal((7, 4)))
    assert own_retrieval(embeddings)[0][[0, -1]].min() > 0  # two equal captions tie
    for own, right in zip(own_retrieval(embeddings), retrieval(embeddings), strict=True):
        assert len(own) == 7 and (own >= right).all()


class Fake:
    """Vectors of captions, drawn once."""

    def __init__(self):
        self.known = {}

    def embed_text(self, captions):
        new = (np.random.default_rng(len(self.known) + i).standard_normal(4) for i in range(len(captions)))
        self.known.update(zip(captions, new, strict=True))
        return np.stack([self.known[caption] for caption in captions])


def test_several_captions_of_a_clip_against_brute_force(grid):
    embeddings = Embeddings(Fake())
    captions = {clip.id: tuple(f"{clip.id} caption {i}" for i in range(1 + n % 3)) for n, clip in enumerate(grid.clips)}
    scenes = [
        replace(scene, sources=(replace(source, caption=captions[source.clip][0], captions=captions[source.clip]),))
        for scene in grid.fixed_rir()
        for source in scene.sources
    ]
    embeddings.add(scenes, np.random.default_rng(9).standard_normal((6, 4)))
    a2t, t2a = captions_of_clips(embeddings)
    rows, ranks_of_captions = [], []
    for index, scene in enumerate(scenes):
        scored = [
            (float(embeddings.audio[index] @ embeddings.text([TEMPLATE.caption([text], ["front"])])[0]), clip)
            for clip, texts in captions.items() for text in texts
        ]  # fmt: skip
        order = [clip for _, clip in sorted(scored, reverse=True)]
        rows.append(order.index(scene.sources[0].clip))
        for text in captions[scene.sources[0].clip]:
            similarity = embeddings.audio @ embeddings.text([TEMPLATE.caption([text], ["front"])])[0]
            ranks_of_captions.append(int((similarity > similarity[index]).sum()))
    assert a2t.tolist() == rows and t2a.tolist() == ranks_of_captions and len(set(rows)) > 2


def test_program_writes_the_table_with_the_papers_figures(corpus, tmp_path):
    for seed in (0, 1):
        folder = tmp_path / f"seed{seed}"
        folder.mkdir()
        assert train(corpus, folder / "concat_scl", "--max_epoch", "1").returncode == 0
    models = sorted(tmp_path.glob("seed*/concat_scl"))
    given = ["--data", corpus.data, "--dump", corpus.dump, "--out", tmp_path / "out"]
    result = run("spclap.cli", "score", *models, "--benchmark", "table1", *given)
    assert result.returncode == 0, result.stderr[-2000:]
    text = (tmp_path / "out" / "table.md").read_text()
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| Ours |")]
    assert rows[0][1] == "paper" and "81.69" in rows[0] and rows[1][1:3] == ["concat_scl", "2"]
    with np.load(tmp_path / "out" / "outcomes.npz") as kept:
        names = {key.rpartition("/")[2] for key in kept}
        assert len(kept) == 2 * len(names)
        outcomes = {name: np.mean([kept[f"{model}/{name}"] for model in models], axis=0) for name in names}
    columns = yaml.safe_load((ROOT / "conf" / "table1.yaml").read_text())["columns"]
    assert rows[1][3 + columns.index("direction_1src")].startswith(f"{np.mean(outcomes['direction_1src']):.1f} [")
    clips, groups = len(outcomes["r1_a2t_fixed"]), len(outcomes["r1_a2t_2src_grid"])
    assert (
        f"{clips} clips, {groups} pairs, 1 triples. Queries" in text
        and f"2src_grid {20 * groups}, {20 * groups};" in text
    )
    assert "- git: " in text and "81.69" in text
    assert len(outcomes["direction_2src"]) == 2
    assert "Captions per clip: 2; 4 clips, 8 captions" in text and len(outcomes["r1_t2a_captions"]) == 4
