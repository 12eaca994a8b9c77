"""Protocols against brute force: loops over captions that the test writes itself."""

import itertools
import zlib
from dataclasses import replace

import numpy as np
import pytest

from spclap.errors import DataError
from spclap.evaluate import protocols
from spclap.evaluate.protocols import Embeddings, assignment, direction, retrieval
from spclap.evaluate.seld import seld_outcomes
from spclap.scene.scene import Scene, Source

WORDS = {
    "left": "on the left side",
    "front-left": "in the front-left",
    "front": "in front",
    "front-right": "in the front-right",
    "right": "on the right side",
}
AZIMUTHS = dict(zip(WORDS, (-72, -36, 0, 36, 72), strict=True))


def vector(caption: str, dim: int = 6) -> np.ndarray:
    x = np.random.default_rng(zlib.crc32(caption.encode())).standard_normal(dim).astype(np.float32)
    return x / np.linalg.norm(x)


class Hashed:
    """Stands for a model: the text vector of a caption is a random one that its letters seed."""

    def embed_text(self, captions):
        return np.stack([vector(caption) for caption in captions])


def source(clip: str, where: str, caption: str | None = None, kind: str = "k") -> Source:
    return Source(clip, caption or f"a {clip}", (clip, kind), 0, where, float(AZIMUTHS[where]), 0.0, 0.0)


def say(sources, places) -> str:
    clauses = [f"{s.caption} {WORDS[place]}" for s, place in zip(sources, places, strict=True)]
    return clauses[0] if len(clauses) == 1 else ", ".join(clauses[:-1]) + ", and " + clauses[-1]


@pytest.fixture(params=[1, 2, 3])
def embeddings(request) -> Embeddings:
    """Forty random scenes of one size with audio vectors near their true captions' vectors, added in two parts."""
    rng, found = np.random.default_rng(request.param), Embeddings(Hashed())
    for part in range(2):
        scenes, audio = [], []
        for index in range(20):
            clips = rng.choice(list("abcdefgh"), request.param, replace=False)
            places = rng.choice(list(WORDS), request.param, replace=False)
            sources = tuple(source(str(clip), str(place)) for clip, place in zip(clips, places, strict=True))
            scenes.append(Scene(f"{part}-{index}", "room", sources))
            audio.append(vector(say(sources, places)) + 0.4 * rng.standard_normal(6).astype(np.float32))
        found.add(scenes, np.stack(audio))
    return found


def truth(scene: Scene) -> str:
    return say(scene.sources, [s.direction for s in scene.sources])


def test_retrieval(embeddings, monkeypatch):
    """Right is what says the same; each text stands in the gallery once."""
    meanings = [frozenset((s.clip, s.direction) for s in scene.sources) for scene in embeddings.scenes]
    texts = {truth(scene): meaning for scene, meaning in zip(embeddings.scenes, meanings, strict=True)}
    monkeypatch.setattr(protocols, "_parts", lambda count, at_once=7: [slice(0, 7), slice(7, count)])
    a2t, t2a = retrieval(embeddings)
    assert len(a2t) == len(t2a) == 40
    for row, (audio, meaning) in enumerate(zip(embeddings.audio, meanings, strict=True)):
        right = max(audio @ vector(text) for text, other in texts.items() if other == meaning)
        assert a2t[row] == sum(audio @ vector(t) > right + 1e-6 for t, other in texts.items() if other != meaning)
        own = vector(truth(embeddings.scenes[row]))
        right = max(a @ own for a, other in zip(embeddings.audio, meanings, strict=True) if other == meaning)
        wrong = [a @ own for a, other in zip(embeddings.audio, meanings, strict=True) if other != meaning]
        assert t2a[row] == sum(score > right + 1e-6 for score in wrong)
    assert 0 < (a2t == 0).mean() < 1


class Louder(Hashed):
    """The same directions at other lengths."""

    def embed_text(self, captions):
        lengths = [[0.1 + zlib.crc32(caption[::-1].encode()) % 50] for caption in captions]
        return super().embed_text(captions) * lengths


def test_vectors_are_compared_by_their_directions_alone(embeddings):
    other = Embeddings(Louder())
    lengths = np.random.default_rng(5).uniform(0.1, 50, (40, 1))
    other.add(embeddings.scenes, embeddings.audio * lengths)
    for own, found in zip(retrieval(embeddings), retrieval(other), strict=True):
        np.testing.assert_array_equal(own, found)


def test_a_caption_that_is_true_of_a_recording_is_no_error():
    """Both recordings prefer the words of the other scene: those of scene 0 are general and true of both, those of
    scene 1 of its own alone."""
    scenes = [
        Scene("0", "r", (replace(source("robin", "left", "a bird"), captions=("a robin", "a bird")),)),
        Scene("1", "r", (replace(source("wren", "left", "a wren"), captions=("a wren", "a bird")),)),
    ]
    found = Embeddings(Hashed())
    found.add(scenes, np.stack([vector(say(scene.sources, ["left"])) for scene in scenes[::-1]]))
    a2t, t2a = retrieval(found)
    assert a2t.tolist() == [1, 0] and t2a.tolist() == [0, 1]


def test_equal_captions_tie_to_the_last_bit():
    """Many widths, since it takes some of a matrix product's ways of summing to make equal columns differ."""
    rng = np.random.default_rng(0)
    for dim in (13, 100, 255, 510):
        found = Embeddings(Hashed())
        found.text = lambda captions, dim=dim: np.stack([vector(caption, dim) for caption in captions])
        scenes = [Scene(str(i), "r", (source("dog", "left"),)) for i in range(33)]
        found.add(scenes, rng.standard_normal((33, dim)).astype(np.float32))
        captions = [f"caption {i % 7}" for i in range(100)]
        similarity = found.similarity(captions)
        for column, caption in enumerate(captions):
            np.testing.assert_array_equal(similarity[:, column], similarity[:, captions.index(caption)])


def test_vectors_that_are_not_finite_are_refused():
    found = Embeddings(Hashed())
    scenes, vectors = [Scene("0", "r", (source("dog", "left"),))] * 2, np.ones((3, 6), dtype=np.float32)
    with pytest.raises(DataError, match="3 vectors of 2 scenes"):
        found.add(scenes, vectors)
    vectors[1] = np.nan
    with pytest.raises(DataError, match="audio vector 1 of 2 is not finite"):
        found.add(scenes, vectors[:2])
    vectors[1] = 0
    with pytest.raises(DataError, match="audio vector 1 of 2 is zero"):
        found.add(scenes, vectors[:2])
    assert not found.scenes


def test_assignment(embeddings):
    if embeddings.scenes[0].size == 1:
        pytest.skip("one source has one place")
    expected = []
    for scene, audio in zip(embeddings.scenes, embeddings.audio, strict=True):
        places = [s.direction for s in scene.sources]
        right = audio @ vector(say(scene.sources, places))
        others = [audio @ vector(say(scene.sources, p)) for p in itertools.permutations(places) if list(p) != places]
        expected.append(all(right > other for other in others))
    np.testing.assert_array_equal(assignment(embeddings), expected)
    assert 0 < np.mean(expected) < 1


def test_direction(embeddings):
    size = embeddings.scenes[0].size
    if size > 2:
        pytest.skip("the paper has 5-way and 25-way")
    correct, confusion = direction(embeddings)
    counted = np.zeros((5, 5), dtype=int)
    for scene, audio, right in zip(embeddings.scenes, embeddings.audio, correct, strict=True):
        options = list(itertools.product(WORDS, repeat=size))
        best = max(options, key=lambda option: audio @ vector(say(scene.sources, option)))
        true = tuple(s.direction for s in scene.sources)
        assert right == (best == true)
        for here, there in zip(true, best, strict=True):
            counted[list(WORDS).index(here), list(WORDS).index(there)] += 1
    np.testing.assert_array_equal(confusion, counted)
    assert 0 < correct.mean() < 1


def test_seld_against_brute_force():
    rng, kinds = np.random.default_rng(4), ["p", "q", "r"]
    class_of = {"p": 0, "q": 1}
    scenes, vectors = [], rng.standard_normal((40, 2, 2)).astype(np.float32)
    for index in range(40):
        chosen, places = rng.permutation(kinds)[:2], rng.permutation(list(WORDS))[:2]
        pair = zip(chosen, places, strict=True)
        scenes.append(Scene(str(index), "r", tuple(source(f"{k}x", str(p), kind=str(k)) for k, p in pair)))
    right, bound = [], []
    for scene, rows in zip(scenes, vectors, strict=True):
        if any(s.labels[-1] == "r" for s in scene.sources):
            right.append(np.nan)
            bound.append(np.nan)
            continue
        rows = [rows[class_of[s.labels[-1]]] for s in scene.sources]
        angles = [float(np.rad2deg(np.arctan2(row[1], row[0]))) for row in rows]
        nearest = [min(AZIMUTHS, key=lambda w: abs(AZIMUTHS[w] - min(max(a, -90), 90))) for a in angles]
        right.append(nearest == [s.direction for s in scene.sources])
        places = [AZIMUTHS[s.direction] for s in scene.sources]
        fit = [sum(np.cos(np.deg2rad(a - p)) for a, p in zip(angles, order, strict=True)) for order in
               (places, places[::-1])]  # fmt: skip
        bound.append(fit[0] > fit[1])
    classes_of = {f"{kind}x": (index,) for kind, index in class_of.items()}
    found = seld_outcomes(scenes, vectors, classes_of)
    np.testing.assert_array_equal(found["direction"], right)
    np.testing.assert_array_equal(found["assignment"], bound)
    assert 0 < np.nanmean(bound) < 1 and 0 < np.isnan(bound).sum() < 40
