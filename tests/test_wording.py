"""Captions in other words."""

import re

import numpy as np
import pytest

from spclap.scene.caption import scene_caption
from spclap.scene.scene import Scene, Source
from spclap.space.directions import DIRECTIONS, PHRASES
from spclap.space.wording import TEMPLATE, Wording, mirrored, without_hours
from spclap.space.words import HELD_OUT, TRAINING, Phrasing


def test_the_template_is_the_papers():
    assert TEMPLATE.caption(["a dog"], ["left"]) == "a dog on the left side"
    said = TEMPLATE.caption(["a dog", "rain", "a bell"], ["right", "front", "front-left"])
    assert said == "a dog on the right side, rain in front, and a bell in the front-left"


def test_a_wording_says_its_clauses_in_its_order_and_without_a_place_where_it_has_none():
    places = ("L", "FL", "F", "FR", "R")
    wording = Wording(places, "{place}: {what}", "; ", order=(1, 0), unplaced=(0,), sentence=True)
    assert wording.caption(["a dog", "rain {x}"], ["left", "front"]) == "F: rain {x}; a dog."
    assert Wording(places, joint=" and ").caption(["a", "b", "c"], DIRECTIONS[:3]) == "a L, b FL and c F"


@pytest.mark.parametrize(
    "hour, azimuth", [("nine", -90), ("10", -60), ("eleven", -30), ("12", 0), ("one", 30), ("2", 60)]
)
def test_hours_ahead_are_directions_by_rule_and_mirror(hour, azimuth):
    """An hour is 30 degrees."""
    from spclap.space.directions import direction_of

    for words in (f"At {hour} o'clock", f"from {hour}  o’clock", f"around {hour} oclock"):
        assert without_hours(f"a dog {words}, and rain") == f"a dog {PHRASES[direction_of(azimuth)]}, and rain"
        assert without_hours(mirrored(f"a dog {words}")) == f"a dog {PHRASES[direction_of(-azimuth)]}"
    for same in ("a clock strikes nine", "at six o'clock", "at 15 o'clock", "it is nine o'clock"):
        assert without_hours(same) == same


def test_the_right_is_said_as_the_left_is():
    for words in (TRAINING, HELD_OUT):
        for direction, other in zip(DIRECTIONS, DIRECTIONS[::-1], strict=True):
            assert [mirrored(phrase) for phrase in words.phrases(direction)] == list(words.phrases(other)) or (
                direction == "front"
            )
        sides = [[re.findall("left|right", phrase) for phrase in words.phrases(d)] for d in ("left", "right")]
        assert all(set(found) <= {"left"} for found in sides[0]) and all(set(found) <= {"right"} for found in sides[1])


def test_no_phrase_says_two_directions_and_scores_have_words_that_training_never_has():
    every = [without_hours(phrase) for words in (TRAINING, HELD_OUT) for d in DIRECTIONS for phrase in words.phrases(d)]
    own = [phrase for phrase in every if phrase not in PHRASES.values()]
    assert len(set(own)) == len(own) > 60
    trained = {*TRAINING.clauses, *TRAINING.joints, *(p for d in DIRECTIONS for p in TRAINING.phrases(d))}
    assert not trained & {*HELD_OUT.joints, *(p for d in DIRECTIONS for p in HELD_OUT.phrases(d))}


def test_the_words_of_a_direction_are_one_for_all_permutations():
    sources = tuple(
        Source(clip, clip, (clip,), 0, where, 0.0, 0.0, 0.0)
        for clip, where in (("a", "left"), ("b", "front"), ("c", "right"))
    )
    for seed in range(50):
        scene = Scene("s", "room", sources, wording=TRAINING.draw(np.random.default_rng(seed), 3))
        plain = Wording(order=scene.wording.order)
        for permutation in scene.permutations():
            places = {d: scene.wording.places[DIRECTIONS.index(d)] for d in DIRECTIONS}
            said = Wording(tuple(places[d] for d in DIRECTIONS), scene.wording.clause, scene.wording.joint, plain.order)
            where = [sources[permutation.index(clip)].direction for clip in range(3)]
            text = said.caption(["a", "b", "c"], where)
            assert scene_caption(scene, permutation) in (text, f"{text[0].upper()}{text[1:]}.")


def test_shares_are_those_asked_for():
    rng = np.random.default_rng(0)
    drawn = [Phrasing(0.5, 0.2).draw(rng, 2) for _ in range(4000)]
    assert np.mean([w.places != TEMPLATE.places for w in drawn]) == pytest.approx(0.5, abs=0.03)
    assert np.mean([len(w.unplaced) / 2 for w in drawn]) == pytest.approx(0.2, abs=0.02)
    assert np.mean([w.order == (1, 0) for w in drawn]) == pytest.approx(0.25, abs=0.03)
    assert {Phrasing().draw(rng, 2) for _ in range(100)} == {TEMPLATE}
    with pytest.raises(ValueError, match="reworded is 1.5"):
        Phrasing(reworded=1.5)
