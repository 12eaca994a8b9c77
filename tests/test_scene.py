"""Scenes, captions and directions."""

import itertools

import numpy as np
import pytest

from spclap.errors import DataError
from spclap.scene.caption import from_left_to_right, scene_caption
from spclap.scene.scene import Scene, Source, read_scenes, write_scenes
from spclap.space.directions import DIRECTIONS, EDGES, center, direction_of, zone


def source(name: str, direction: str) -> Source:
    return Source(name, name, (name,), 0, direction, center(direction), 0.0, 0.0)


DOG_RAIN = Scene("s", "room", (source("a dog", "left"), source("rain", "right")))


def test_directions_tile_the_half_plane():
    assert [direction_of(center(d)) for d in DIRECTIONS] == list(DIRECTIONS)
    assert [zone(d)[1] for d in DIRECTIONS[:-1]] == list(EDGES)
    assert direction_of(-90) == "left" and direction_of(90) == "right"
    with pytest.raises(ValueError, match="120"):
        direction_of(120)


def test_mirrored_azimuth_mirrors_the_word():
    for azimuth in np.linspace(-89.5, 89.5, 40):
        assert DIRECTIONS.index(direction_of(-azimuth)) == 4 - DIRECTIONS.index(direction_of(azimuth))


def test_caption_of_a_scene_and_of_its_swap():
    assert scene_caption(DOG_RAIN, (0, 1)) == "a dog on the left side, and rain on the right side"
    assert scene_caption(DOG_RAIN, (1, 0)) == "a dog on the right side, and rain on the left side"


def test_captioners_speak_from_left_to_right():
    clauses = [("rain falls", "right"), ("a dog barks", "front-left"), ("a bell rings", "left")]
    said = "a bell rings on the left side, a dog barks in the front-left, and rain falls on the right side"
    assert {from_left_to_right(order) for order in itertools.permutations(clauses)} == {said}


def test_captions_of_all_permutations_say_what_the_mixture_holds():
    scene = Scene("s", "r", tuple(source(n, d) for n, d in zip("abc", ("left", "front", "right"), strict=True)))
    for permutation in scene.permutations():
        text = scene_caption(scene, permutation)
        for place, clip in enumerate(permutation):
            word = {"left": "on the left side", "front": "in front", "right": "on the right side"}
            assert f"{'abc'[clip]} {word[scene.sources[place].direction]}" in text
    assert len({scene_caption(scene, p) for p in scene.permutations()}) == 6
    assert scene.permutations()[0] == (0, 1, 2)


def test_drawn_permutations_are_derangements_and_seeded():
    four = Scene("s", "r", tuple(source(n, d) for n, d in zip("abcd", DIRECTIONS[:4], strict=True)))
    every = {p for p in itertools.permutations(range(4)) if all(clip != place for place, clip in enumerate(p))}
    assert DOG_RAIN.draw_permutations(6, np.random.default_rng(0)) == [(0, 1), (1, 0)]
    seen = set()
    for seed in range(20):
        first, *others = four.draw_permutations(6, np.random.default_rng(seed))
        assert first == (0, 1, 2, 3) and len(set(others)) == 5 and set(others) <= every
        assert [first, *others] == four.draw_permutations(6, np.random.default_rng(seed))
        seen |= set(others)
    assert seen == every  # all nine
    assert len(four.draw_permutations(12, np.random.default_rng(0))) == 12  # nine and two others
    assert len(four.draw_permutations(24, np.random.default_rng(0))) == 24


def test_sampler_draws_different_kinds_and_directions(sampler):
    for seed in range(50):
        scene = sampler.draw(np.random.default_rng(seed), 3, "x")
        assert len({s.labels[-1] for s in scene.sources}) == len({s.direction for s in scene.sources}) == 3
        for s in scene.sources:
            assert set(s.every_caption) == set(s.captions) and s.caption == s.every_caption[0]
            assert sampler.bank.table.room[s.rir] == scene.room
            assert direction_of(s.azimuth) == s.direction
    assert sampler.draw(np.random.default_rng(3), 2, "x") == sampler.draw(np.random.default_rng(3), 2, "x")


def test_more_sources_than_kinds_is_an_error(sampler):
    with pytest.raises(DataError, match="as many labels"):
        sampler.draw(np.random.default_rng(0), 5, "x")


def test_scenes_survive_the_disk(tmp_path, sampler):
    scenes = sampler.fixed([1], 2, 5, "test")
    write_scenes(tmp_path / "s.jsonl", scenes)
    assert read_scenes(tmp_path / "s.jsonl") == scenes
    (tmp_path / "s.jsonl").write_text('{"id": 1}\n')
    with pytest.raises(DataError, match=r"s\.jsonl:1"):
        read_scenes(tmp_path / "s.jsonl")
    with pytest.raises(DataError, match="stage 1"):
        read_scenes(tmp_path / "missing.jsonl")


def test_sampler_draws_all_that_there_is_evenly(sampler, clips):
    """Levels of +-3 dB, starts from 0 to 1, and every clip, caption, room, direction and place."""
    scenes = [sampler.draw(np.random.default_rng([9, seed]), 2, "x") for seed in range(500)]
    sources = [source for scene in scenes for source in scene.sources]
    for values, low, high in (([s.gain_db for s in sources], -3, 3), ([s.start for s in sources], 0, 1)):
        expected = np.linspace(low, high, 11)
        found = np.quantile(values, np.linspace(0, 1, 11))
        np.testing.assert_allclose(found, expected, atol=0.06 * (high - low))
        assert low <= min(values) and max(values) < high
    levels = np.array([[source.gain_db for source in scene.sources] for scene in scenes])
    assert abs(np.corrcoef(levels.T)[0, 1]) < 0.15  # each source has its own
    assert {source.caption for source in sources} == {caption for clip in clips for caption in clip.captions}
    assert {source.clip for source in sources} == {clip.id for clip in clips}
    assert {scene.room for scene in scenes} == set(sampler.bank.rooms())
    assert {source.rir for source in sources} == set(range(len(sampler.bank.rirs)))
    assert {scene.sources[0].direction for scene in scenes} == set(DIRECTIONS)
