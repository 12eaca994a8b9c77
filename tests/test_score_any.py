"""`spclap score`: any model through one seam, vectors in place of models, controls that tell what a score is worth."""

import json
import math
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from programs import run
from test_frozen import made
from tiny_models import tiny_clap, tiny_roberta
from transformers import ClapFeatureExtractor, ClapProcessor, RobertaTokenizerFast

from spclap.errors import DataError
from spclap.evaluate.adapters import Cues
from spclap.evaluate.benchmarks.scenes import WORDS, Given, chance, in_words, outcomes
from spclap.evaluate.controls import CONTROLS, mirror_image
from spclap.evaluate.frozen import listed_captions, read_frozen
from spclap.evaluate.intervals import Clusters
from spclap.evaluate.protocols import Embeddings, placed
from spclap.evaluate.record import recorded, scenes_that_show
from spclap.scene.caption import true_caption
from spclap.scene.scene import Scene, Source
from spclap.space.directions import DIRECTIONS, PHRASES
from spclap.verbs.models import load_embedder

MODEL = "spclap.evaluate.adapters:Cues"


@pytest.fixture(scope="module")
def folder(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("sets") / "set"
    result = made(corpus, out, "--array", "pair:0.17", "--sources", 1, 2, "--count", 24, "--seconds", 1)
    assert result.returncode == 0, result.stderr[-2000:]
    return out


@pytest.fixture(scope="module")
def scored(folder, tmp_path_factory):
    """The record of the cues, and of the vectors that they have, given in a file."""
    out, sets, cues = tmp_path_factory.mktemp("scores"), read_frozen(folder), Cues()
    audio = np.concatenate([cues.embed_audio(own.waves(slice(None)), 16000, own.arrays) for own in sets])
    np.savez(out / "cues.npz", audio=audio, text=cues.embed_text(listed_captions(folder)))
    result = run("spclap.cli", "score", MODEL, "--vectors", out / "cues.npz", "--scenes", folder, "--out", out / "a")
    assert result.returncode == 0, result.stderr[-2000:]
    return json.loads((out / "a" / "record.json").read_text()), result.stdout, out


def test_delay_and_level_alone_know_directions_and_bind_nothing(scored):
    figures = scored[0]["models"][MODEL]["figures"]
    assert figures["direction_1src"]["value"] >= 90
    assert figures["assignment_2src"]["low"] < 50 < figures["assignment_2src"]["high"]
    assert np.trace(scored[0]["models"][MODEL]["confusion"]) / 24 == figures["direction_1src"]["value"] / 100


def test_cues_hear_each_recording_through_its_own_array(folder):
    cues, waves, words = Cues(), read_frozen(folder)[0].waves(slice(6)), ["pair:0.17", "xy:90"] * 3
    alone = [cues.embed_audio(wave[None], 16000, array)[0] for wave, array in zip(waves, words, strict=True)]
    np.testing.assert_array_equal(cues.embed_audio(waves, 16000, words), alone)
    assert np.abs(alone - cues.embed_audio(waves, 16000, "pair:0.17")).max() > 0.1


def test_controls_take_the_places_away_or_mirror_them(scored):
    controls, plain = scored[0]["models"][MODEL]["controls"], scored[0]["models"][MODEL]["figures"]
    assert set(controls) == set(CONTROLS)
    for name in ("mono", "left", "text_alone", "other_audio", "exchanged"):
        assert controls[name]["direction_1src"]["value"] <= 45, name
    assert controls["exchanged_mirrored"]["direction_1src"]["value"] == pytest.approx(
        plain["direction_1src"]["value"], abs=5
    )


def test_vectors_of_a_file_are_scored_as_the_model_that_they_are_of(scored):
    record, text, out = scored
    own, given = (record["models"][name] for name in (MODEL, str(out / "cues.npz")))
    assert own["figures"] == given["figures"] and own["curves"] == given["curves"]
    assert set(given["controls"]) == {"text_alone", "other_audio"}
    assert all(row["value"] == 0 for row in record["differences"])
    assert "| direction, 1 source |" in text and "binding, 2 sources" in text


def test_outcomes_are_kept_and_make_the_figures(scored, folder):
    record, _, out = scored
    with np.load(out / "a" / "outcomes.npz") as kept:
        for own in read_frozen(folder):
            metric = f"direction_{own.name}"
            values = 100.0 * kept[f"{MODEL}/{metric}"]
            found = record["models"][MODEL]["figures"][metric]
            expected = Clusters(own.recordings).mean(values, 100.0)
            assert [found[key] for key in ("value", "low", "high")] == pytest.approx(expected)
            assert found["n"] == 24 and found["clips"] == len({r for row in own.recordings for r in row})


def test_curves_take_every_scene_of_two_sources_once(scored, folder):
    curves, (_, two) = scored[0]["models"][MODEL]["curves"], read_frozen(folder)
    words = curves.pop("words")
    for name, points in curves.items():
        assert sum(point["n"] for point in points.values()) == 24, name
        mean = sum(point["n"] * point["value"] for point in points.values()) / 24
        assert mean == pytest.approx(scored[0]["models"][MODEL]["figures"]["assignment_2src"]["value"])
    assert list(words) == list(WORDS) and words["as in training"]["n"] == words["at nine o'clock"]["n"] == 24
    assert words["as in training"]["value"] == scored[0]["models"][MODEL]["figures"]["assignment_2src"]["value"]
    assert set(curves) == {"angle", "level", "kinds", "array", "rt60", "distance"}
    rt60 = [float(room["rt60"]) for room in two.rooms]
    assert curves["rt60"]["0.1 to 0.2 s"]["n"] == sum(0.1 < one <= 0.2 for one in rt60)
    steps = [abs(np.diff([DIRECTIONS.index(s.direction) for s in scene.sources])[0]) for scene in two.scenes]
    rows = [row for row, apart in enumerate(steps) if apart == 1]
    with np.load(scored[2] / "a" / "outcomes.npz") as kept:
        values = 100.0 * kept[f"{MODEL}/assignment_2src"][rows]
    expected = Clusters([two.recordings[row] for row in rows]).mean(values, 100.0)
    assert [curves["angle"]["1 of 4 steps apart"][key] for key in ("value", "low", "high")] == pytest.approx(expected)
    near = [s for s in two.scenes if abs(s.sources[0].azimuth - s.sources[1].azimuth) < 36]
    assert curves["angle"]["1 of 4 steps apart"]["n"] >= len(near)


class Reads:
    """Has vectors of captions alone: 1, and 2 where `likes` says so, along the first axis."""

    def __init__(self, likes):
        self.likes = likes

    def embed_text(self, captions):
        return np.array([[2.0 if self.likes(caption) else 0.5, 1.0] for caption in captions])


def heard_as(likes, scenes) -> Embeddings:
    found = Embeddings(Reads(likes))
    found.add(scenes, np.tile([1.0, 0.0], (len(scenes), 1)))
    return found


def of_two(first: str, second: str, where: tuple[str, str], *more: str) -> Scene:
    said = ((first, (first, *more)), (second, (second,)))
    sources = tuple(
        Source(caption, caption, (caption,), 0, place, 0.0, 0.0, 0.0, captions=captions)
        for (caption, captions), place in zip(said, where, strict=True)
    )
    return Scene(f"{first}-{second}", "room", sources)


SCENES = [of_two("a dog", "rain", ("left", "front-right"), "a hound"), of_two("a cat", "wind", ("right", "front"))]


TOLD = {
    "as in training": [
        "a dog on the left side, and rain in the front-right", "a cat on the right side, and wind in front",
    ],
    "to my left": ["a dog to my left, and rain a bit to the right", "a cat to my right, and wind right in front of me"],
    "at nine o'clock": [
        "a dog at nine o'clock, and rain at one o'clock", "a cat at three o'clock, and wind at twelve o'clock",
    ],
    "the second sound first": [
        "rain in the front-right, and a dog on the left side", "wind in front, and a cat on the right side",
    ],
    "other captions of the clips": ["a hound on the left side, and rain in the front-right", None],
}  # fmt: skip


@pytest.mark.parametrize("way, captions", TOLD.items())
def test_scenes_are_told_in_other_ways(way, captions):
    found = in_words(heard_as(set(filter(None, captions)).__contains__, SCENES))
    np.testing.assert_array_equal(found[way], [1.0 if caption else np.nan for caption in captions])
    others = {name: own for name, own in found.items() if name != way}
    assert not any(np.nansum(own) for own in others.values())
    none = in_words(heard_as(lambda caption: False, SCENES))
    assert np.nansum(none[way]) == 0 and not np.isnan(none["as in training"]).any()


def test_a_sound_that_is_put_where_nothing_sounds():
    """The other caption has one place less of the scene's, and one that the scene lacks, whatever is drawn."""
    asked: list[str] = []
    scenes = [replace(SCENES[0], id=str(index)) for index in range(40)]
    right = placed(heard_as(lambda caption: asked.append(caption) or caption == true_caption(SCENES[0]), scenes))
    assert right.all() and len(right) == 40
    words = {where: f" {phrase}" for where, phrase in PHRASES.items()}
    moved = set(asked) - {true_caption(SCENES[0])}
    expected = {f"a dog{words[where]}, and rain{words['front-right']}" for where in ("front-left", "front", "right")}
    expected |= {f"a dog{words['left']}, and rain{words[where]}" for where in ("front-left", "front", "right")}
    assert moved == expected
    assert not placed(heard_as(lambda caption: caption != true_caption(SCENES[0]), scenes)).any()


def test_vectors_of_an_older_set_lack_captions_that_are_asked_now(folder):
    sets, texts = read_frozen(folder), listed_captions(folder)
    audio = {scene.id: np.ones(2) for own in sets for scene in own.scenes}
    with pytest.raises(
        DataError, match=r"captions.txt of the set has no [\"'].*[\"'], which is asked now; make the set anew"
    ):
        outcomes(Given(audio, {text: np.ones(2) for text in texts if "o'clock" not in text}), sets)


def test_a_mirror_image_says_the_other_side(folder):
    (one, two) = read_frozen(folder)
    for scene in (*one.scenes, *two.scenes):
        text, sides = true_caption(scene), {"left": "right", "right": "left"}
        expected = " ".join(
            "-".join(sides.get(part, part) for part in word.rstrip(",").split("-")) + "," * word.endswith(",")
            for word in text.split()
        )
        assert true_caption(mirror_image(scene)) == expected
        assert [s.azimuth for s in mirror_image(scene).sources] == [-s.azimuth for s in scene.sources]


def test_a_control_above_chance_is_a_warning(folder):
    """A model that has read the answers: of the captions of a scene the true one alone is near what it hears, whatever
    that is."""
    whole = read_frozen(folder)[0]
    rows = list({scene.sources[0].caption: row for row, scene in enumerate(whole.scenes)}.values())
    kept = {
        key: [getattr(whole, key)[row] for row in rows] for key in ("scenes", "recordings", "arrays", "rooms", "files")
    }
    sets, wanted = [replace(whole, **kept)], {true_caption(whole.scenes[row]) for row in rows}
    text = defaultdict(lambda: np.array([1.0, 0.0]), {caption: np.array([1.0, 1.0]) for caption in wanted})
    found = outcomes(Given({scene.id: np.array([0.1, 1.0]) for scene in whole.scenes}, text), sets)
    record = recorded(sets, {"peeks": found}, {})
    assert record["models"]["peeks"]["controls"]["text_alone"]["direction_1src"]["value"] == 100
    assert "peeks: direction_1src of control text_alone is above chance: at least" in record["warnings"][0]
    honest = replace(found, controls={"exchanged_mirrored": found.controls["text_alone"]})
    assert recorded(sets, {"peeks": honest}, {})["warnings"] == []


@pytest.mark.parametrize("size, direction, assignment", [(1, 20, None), (2, 4, 50), (3, None, 100 / 6)])
def test_chance(size, direction, assignment):
    assert direction is None or chance(f"reworded_direction_{size}src") == direction
    assert chance(f"placed_{size}src") == 50
    assert assignment is None or chance(f"assignment_{size}src") == assignment == 100 / math.factorial(size)


def test_scenes_that_show_a_difference():
    assert scenes_that_show({"low": 40.0, "high": 52.0, "n": 100}) == 400
    assert scenes_that_show({"low": 47.0, "high": 53.0, "n": 100}) == 100


def mine():
    """Has others' names for the methods."""

    class Mine:
        def get_audio_embeddings(self, waves, sample_rate, array=None):
            return np.ones((len(waves), 2))

        def get_text_embeddings(self, captions):
            return np.ones((len(captions), 2))

    return Mine()


def nothing():
    return object()


def test_a_model_of_anybodys_is_found_by_its_function():
    model = load_embedder("test_score_any:mine")
    assert model.embed_audio(np.zeros((3, 2, 9)), 16000).shape == (3, 2) and model.embed_text(["a"]).shape == (1, 2)
    for name, told in (
        ("test_score_any:nothing", "without embed_audio or get_audio_embeddings"),
        ("test_score_any:gone", "give module:function"),
        ("no_such_module:f", "No module named 'no_such_module'"),
        ("no/such/folder", "no training, model directory or CLAP of transformers"),
    ):
        with pytest.raises(DataError, match=told):
            load_embedder(name)


def test_bad_input_is_one_line_and_nothing_is_written(folder, tmp_path):
    np.savez(tmp_path / "few.npz", audio=np.ones((3, 2)), text=np.ones((3, 2)))
    (tmp_path / "text.npz").write_text("vectors")
    for options, told in (
        ([MODEL], "give either --scenes, or --data and --dump"),
        (["--scenes", folder], "no model"),
        (["--vectors", tmp_path / "few.npz", "--scenes", folder], "few.npz: audio has shape (3, 2), expected (48, D)"),
        (["--vectors", tmp_path / "text.npz", "--scenes", folder], "not an npz of arrays audio and text"),
        ([MODEL, "--vectors", "a.npz", "--data", "a", "--dump", "b"], "--vectors are of a frozen set"),
    ):
        result = run("spclap.cli", "score", *options, "--out", tmp_path / "out")
        assert result.returncode == 1 and told in result.stderr and "Traceback" not in result.stderr, result.stderr
    assert not (tmp_path / "out").exists()


def test_clap_of_transformers_hears_one_channel(tmp_path):
    tiny_clap(tmp_path / "clap")
    tiny_roberta(tmp_path / "text")
    tokenizer = RobertaTokenizerFast.from_pretrained(tmp_path / "text")
    ClapProcessor(ClapFeatureExtractor(truncation="rand_trunc"), tokenizer).save_pretrained(tmp_path / "clap")
    model, waves = load_embedder(str(tmp_path / "clap")), np.random.default_rng(0).standard_normal((2, 2, 16000)) * 0.1
    audio, text = model.embed_audio(waves, 16000), model.embed_text(["a dog on the left side", "a cat"])
    assert audio.shape == text.shape and len(audio) == 2
    np.testing.assert_allclose(model.embed_audio(waves[:, ::-1], 16000), audio, atol=1e-5)
