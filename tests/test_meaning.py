"""What is true of a scene, against a reader who goes through its words."""

import itertools
from dataclasses import replace

import numpy as np
import torch

from spclap.scene.meaning import caption_width, fits, statements
from spclap.scene.scene import Scene, Source
from spclap.space.directions import DIRECTIONS
from spclap.space.wording import Wording

CLIPS = {  # clip -> label and captions, the specific one first
    "blackbird": ("blackbird", ("a blackbird sings", "a bird calls")),
    "robin": ("robin", ("a robin sings", "a bird calls")),
    "ewe": ("sheep", ("a ewe bleats",)),
    "lamb": ("sheep", ("a lamb bleats", "a young animal calls")),
    "rain": ("rain", ("rain falls", "water", "it is raining")),
}


def fits_of(scenes):
    """(N, N) bool: the caption of scene n (columns) is true of scene m (rows)."""
    return fits(*statements([(scene, range(scene.size)) for scene in scenes], caption_width(scenes)))


def source(clip: str, where: str, caption: int = 0) -> Source:
    label, captions = CLIPS[clip]
    return Source(clip, captions[caption], (label, "kind"), 0, where, 0.0, 0.0, 0.0, captions=captions)


def scene(*sources: Source) -> Scene:
    return Scene("s", "room", sources)


def is_true(heard: dict[str, str], told: dict[str, tuple[str, str]]) -> bool:
    """Whether what is told, direction -> (caption, label), fits the clips that are heard, direction -> clip."""
    if heard.keys() != told.keys():
        return False
    return all(told[d][0] in CLIPS[clip][1] or told[d][1] == CLIPS[clip][0] for d, clip in heard.items())


def test_against_a_reader():
    rng, items = np.random.default_rng(0), []
    for size, _ in itertools.product((1, 2, 3), range(40)):
        clips, places = rng.choice(list(CLIPS), size, replace=False), rng.choice(DIRECTIONS[:3], size, replace=False)
        sources = [source(c, p, rng.integers(len(CLIPS[c][1]))) for c, p in zip(clips, places, strict=True)]
        items.append((scene(*sources), rng.permutation(size)))
    heard = [{s.sources[p].direction: s.sources[c].clip for p, c in enumerate(order)} for s, order in items]
    told = [
        {s.sources[p].direction: (s.sources[c].caption, s.sources[c].labels[0]) for p, c in enumerate(order)}
        for s, order in items
    ]
    expected = np.array([[is_true(h, t) for t in told] for h in heard])
    np.testing.assert_array_equal(fits(*statements(items, 3)).numpy(), expected)
    assert len(items) < expected.sum() < 0.2 * expected.size


def test_what_has_no_place_may_be_anywhere_but_is_one_sound():
    """Against a reader who tries all places."""
    rng, items, told = np.random.default_rng(1), [], []
    for size, _ in itertools.product((1, 2, 3), range(30)):
        clips, places = rng.choice(list(CLIPS), size), rng.choice(DIRECTIONS[:3], size, replace=False)
        sources = [source(c, p, rng.integers(len(CLIPS[c][1]))) for c, p in zip(clips, places, strict=True)]
        unplaced = tuple(np.flatnonzero(rng.random(size) < 0.5).tolist())
        items.append((replace(scene(*sources), wording=Wording(unplaced=unplaced)), tuple(range(size))))
        told.append([(s.caption, s.labels[0], "" if k in unplaced else s.direction) for k, s in enumerate(sources)])
    heard = [{s.direction: s.clip for s in item.sources} for item, _ in items]

    def somewhere(there: dict[str, str], said: list[tuple[str, str, str]]) -> bool:
        every = itertools.permutations(DIRECTIONS[:3], len(said))
        fitting = (chosen for chosen in every if all(s[2] in ("", d) for s, d in zip(said, chosen, strict=True)))
        return any(is_true(there, {d: s[:2] for s, d in zip(said, chosen, strict=True)}) for chosen in fitting)

    expected = np.array([[somewhere(h, t) for t in told] for h in heard])
    np.testing.assert_array_equal(fits(*statements(items, 3)).numpy(), expected)
    assert 1.5 * len(items) < expected.sum() < 0.2 * expected.size


def test_a_general_caption_is_true_of_all_that_have_it_and_a_special_one_is_not():
    said = [scene(source("blackbird", "left", 1)), scene(source("robin", "left")), scene(source("robin", "right", 1))]
    assert fits_of(said).tolist() == [[True, False, False], [True, True, False], [False, False, True]]


def test_one_label_is_one_meaning_and_the_swap_is_another():
    ewe, lamb = (scene(source(name, "left"), source("rain", "front")) for name in ("ewe", "lamb"))
    assert fits_of([ewe, lamb]).all()
    assert torch.equal(fits(*statements([(ewe, (0, 1)), (ewe, (1, 0))], 3)), torch.eye(2, dtype=torch.bool))
    other_order = scene(*ewe.sources[::-1])
    assert fits_of([ewe, other_order]).all()
    assert not fits_of([ewe, scene(ewe.sources[0])]).fill_diagonal_(False).any()  # more or fewer sounds
