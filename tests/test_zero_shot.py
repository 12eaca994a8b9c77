"""classify, locate and rank: what they say is what loops over captions and numbers say."""

import math

import numpy as np
import pytest
import torch
from small_clap import small_clap

from spclap.errors import DataError
from spclap.inference import SpatialCLAP
from spclap.space.directions import DIRECTIONS, PHRASES

RATE = 16000
LABELS = ["a dog", "rain", "a bell"]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> SpatialCLAP:
    model = small_clap(tmp_path_factory.mktemp("text"))
    with torch.no_grad():
        model.clap.logit_scale.fill_(math.log(12.5))
    return model


def sound(seed: int = 0, seconds: float = 1.0) -> np.ndarray:
    left = np.random.default_rng(seed).standard_normal(round(seconds * RATE)).astype("f")
    return 0.1 * np.stack([left, 0.5 * np.roll(left, 5)])


def cosine(model: SpatialCLAP, stereo: np.ndarray, caption: str) -> float:
    return float(np.dot(model.embed_audio(stereo, RATE)[0].astype("f8"), model.embed_text(caption)[0].astype("f8")))


def test_classify_sums_over_places(model):
    weights = {
        (label, d): math.exp(12.5 * cosine(model, sound(), f"{label} {PHRASES[d]}"))
        for label in LABELS
        for d in DIRECTIONS
    }
    total = sum(weights.values())
    found = model.classify(sound(), LABELS, sampling_rate=RATE)
    assert [set(item) for item in found] == [{"score", "label", "where"}] * 3
    assert {item["label"] for item in found} == set(LABELS) and all(type(item["score"]) is float for item in found)
    assert [item["score"] for item in found] == sorted((item["score"] for item in found), reverse=True)
    for item in found:
        own = {d: weights[item["label"], d] for d in DIRECTIONS}
        assert item["score"] == pytest.approx(sum(own.values()) / total, rel=1e-4)
        assert item["where"] == max(own, key=own.get)


def test_classify_at_a_place_is_of_that_place_alone(model):
    weights = {label: math.exp(12.5 * cosine(model, sound(), f"{label} in front")) for label in LABELS}
    found = model.classify(sound(), LABELS, where="front", sampling_rate=RATE)
    for item in found:
        assert item["score"] == pytest.approx(weights[item["label"]] / sum(weights.values()), rel=1e-4)
        assert item["where"] == "front"


def test_templates_are_words_around_a_label(model):
    found = model.classify(sound(), ["dog", "bell"], hypothesis_template="This is a sound of {}.", sampling_rate=RATE)
    plain = model.classify(sound(), ["This is a sound of dog", "This is a sound of bell"], sampling_rate=RATE)
    assert [item["score"] for item in found] == [item["score"] for item in plain]
    assert {item["label"] for item in found} == {"dog", "bell"}
    odd = model.classify(sound(), ["{0.__class__}", "{what}"], sampling_rate=RATE)
    assert {item["label"] for item in odd} == {"{0.__class__}", "{what}"}


def test_several_recordings_have_a_list_each(model):
    stereo = [sound(seed, 1.0 + seed) for seed in range(3)]
    for ask in (
        lambda audio: model.classify(audio, LABELS, sampling_rate=RATE),
        lambda audio: model.locate(audio, "a dog", sampling_rate=RATE),
        lambda audio: model.rank(audio, LABELS, sampling_rate=RATE),
    ):
        together, alone = ask(stereo), [ask(one) for one in stereo]
        assert isinstance(together, list) and len(together) == 3
        for one, other in zip(together, alone, strict=True):
            flat = [list(x.values()) if isinstance(x, dict) else x for x in (one if isinstance(one, list) else [one])]
            same = [
                list(x.values()) if isinstance(x, dict) else x for x in (other if isinstance(one, list) else [other])
            ]
            for a, b in zip(flat, same, strict=True):
                assert a[1:] == pytest.approx(b[1:], abs=1e-5) and a[0] == pytest.approx(b[0], abs=1e-5)
        (listed,) = ask([stereo[0]])
        assert listed == alone[0]


def test_locate_is_a_softmax_at_the_temperature(model, monkeypatch):
    cosines = [cosine(model, sound(), f"a dog {PHRASES[d]}") for d in DIRECTIONS]
    for about, temperature in (({}, 1 / 12.5), ({"calibration": {"temperature": 0.3}}, 0.3)):
        monkeypatch.setattr(model, "about", about)
        found = model.locate(sound(), "a dog", sample_rate=RATE)
        weights = [math.exp(c / temperature) for c in cosines]
        assert list(found) == list(DIRECTIONS) and sum(found.values()) == pytest.approx(1)
        assert list(found.values()) == pytest.approx([w / sum(weights) for w in weights], rel=1e-4)
    for wrong in (0, -1.0, "warm", float("nan"), None):
        monkeypatch.setattr(model, "about", {"calibration": {"temperature": wrong}})
        with pytest.raises(DataError, match="temperature is .*; it must be above 0"):
            model.locate(sound(), "a dog", RATE)


def test_rank_is_by_cosine(model):
    found = model.rank(sound(), LABELS, RATE)
    assert [item["caption"] for item in found] == sorted(LABELS, key=lambda c: -cosine(model, sound(), c))
    for item in found:
        assert item["score"] == pytest.approx(cosine(model, sound(), item["caption"]), abs=1e-5)
    assert model.rank(sound(), "rain", RATE)[0]["caption"] == "rain"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"candidate_labels": "dog, cat"}, "labels are `dog, cat`; give a list of texts"),
        ({"candidate_labels": []}, "no labels; give at least one"),
        ({"candidate_labels": ["dog", " "]}, "label ' ' is not a text"),
        ({"candidate_labels": ["dog", 3]}, "label 3 is not a text"),
        ({"candidate_labels": ["dog", "cat", "dog"]}, "label `dog` stands 2 times"),
        ({"candidate_labels": ["dog"], "where": "west"}, "where is 'west'; give one of left, front-left"),
        ({"candidate_labels": ["dog"], "hypothesis_template": "a sound"}, "it must have one {}, where a label stands"),
        ({"candidate_labels": ["dog"], "hypothesis_template": "{} or {}"}, "it must have one {}"),
        ({"candidate_labels": ["dog"], "hypothesis_template": None}, "it must have one {}"),
    ],
)
def test_questions_that_make_no_sense_are_refused(model, asked, message):
    with pytest.raises(DataError, match=message):
        model.classify(sound(), **asked, sampling_rate=RATE)
    with pytest.raises(DataError, match="is not a text"):
        model.locate(sound(), "", RATE)
    with pytest.raises(DataError, match="no captions"):
        model.rank(sound(), [], RATE)


def test_captions_are_read_once_for_many_recordings(model, monkeypatch):
    read, embed = [], model.embed_text
    monkeypatch.setattr(model, "embed_text", lambda captions: read.append(captions) or embed(captions))
    for seed in range(3):
        model.classify(sound(seed), ["a cow", "a hen"], sampling_rate=RATE)
    assert len(read) == 1
    first = model.locate(sound(), "a cow", RATE)
    model.locate(sound(), "a hen", RATE)
    assert len(read) == 3 and model.locate(sound(), "a cow", RATE) == first


def test_the_vocabulary_is_that_of_the_model_directory(model, tmp_path):
    with pytest.raises(DataError, match="lists no sounds that it knows; name those to look for"):
        model.vocabulary  # noqa: B018
    (tmp_path / "vocabulary.txt").write_text("a dog\n\nrain \n", encoding="utf-8")
    assert SpatialCLAP(model.clap, tmp_path, 1.0).vocabulary == ["a dog", "rain"]
    (tmp_path / "vocabulary.txt").write_text("a dog\na dog\n", encoding="utf-8")
    with pytest.raises(DataError, match="stands 2 times"):
        SpatialCLAP(model.clap, tmp_path, 1.0).vocabulary  # noqa: B018
