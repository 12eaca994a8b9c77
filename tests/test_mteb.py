"""Tasks and model of mteb, run by it; skipped without the extra `mteb`."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

mteb = pytest.importorskip("mteb")

from mteb.models.modality_collators import AudioCollator  # noqa: E402
from mteb.models.models_protocols import EncoderProtocol  # noqa: E402

from spclap.errors import DataError  # noqa: E402
from spclap.evaluate.adapters import Cues  # noqa: E402
from spclap.evaluate.frozen import RenderedSet, read_frozen, write_frozen  # noqa: E402
from spclap.evaluate.intervals import Clusters  # noqa: E402
from spclap.evaluate.mteb_task import (  # noqa: E402
    SpatialAssignment,
    SpatialMirror,
    StereoEncoder,
    is_true,
    recording,
)
from spclap.scene.caption import scene_caption, true_caption  # noqa: E402
from spclap.space.directions import DIRECTIONS, PHRASES  # noqa: E402


@pytest.fixture(scope="module")
def folder(corpus, tmp_path_factory):
    return written(corpus, tmp_path_factory.mktemp("sets") / "three", (1, 2, 3))


def written(corpus, out, sizes, keep=slice(None)):
    sets = [
        RenderedSet.of(f"{n}src", corpus.fixed("test", n)[keep], corpus, corpus.bank("test"), "test", 1.0)
        for n in sizes
    ]
    write_frozen(out, sets, [], {})
    return out


class Listening:
    """An embedder that keeps what it is given, and gives vectors that say it: sums of channels, lengths of texts."""

    def __init__(self):
        self.heard, self.told, self.read = [], [], []

    def embed_audio(self, waves, sample_rate, array=None):
        self.heard += list(waves)
        self.told += [(sample_rate, array)] * len(waves)
        return np.stack([[1.0, np.abs(wave).sum()] for wave in waves])

    def embed_text(self, captions):
        self.read += captions
        return np.stack([[1.0, len(caption)] for caption in captions])


def scored(embedder, task, cache=None, **names):
    model = StereoEncoder(embedder, names.get("name", "spclap/test"), names.get("revision", "1"))
    assert isinstance(model, EncoderProtocol)
    (result,) = mteb.evaluate(model, task, cache=cache, show_progress_bar=False).task_results
    return result


def figures(embedder, task) -> dict:
    return scored(embedder, task).scores["test"][0]


def test_both_channels_are_heard_and_one_is_chance(folder):
    """Delay and level tell a scene from its mirror image; of the mono mix they tell nothing."""
    both, mono = (figures(Cues(), SpatialMirror(folder, control)) for control in (None, "mono"))
    assert both["main_score"] == both["text_acc"] > 0.75 and both["max_ap"] > 0.75
    assert both["text_acc_low"] < both["text_acc"] < both["text_acc_high"]
    assert 0.25 < mono["text_acc"] < 0.75 and mono["max_ap"] < 0.75 and mono["text_acc_low"] < 0.5
    exchanged, mirrored = (figures(Cues(), SpatialMirror(folder, f"exchanged{end}")) for end in ("", "_mirrored"))
    assert exchanged["text_acc"] < 0.25 and mirrored["text_acc"] > 0.75


def test_who_knows_no_sound_cannot_assign_them(folder):
    found = figures(Cues(), SpatialAssignment(folder))
    assert 0.2 < found["text_acc"] < 0.8 and found["text_acc_low"] < 0.5 < found["text_acc_high"]


def test_the_collator_of_mteb_makes_it_mono(folder, monkeypatch):
    """What the models that mteb brings hear of this task: with that collator the same model is at chance."""
    plain = StereoEncoder.encode

    def as_others(self, inputs, **kwargs):
        if "audio" in inputs.dataset.column_names:
            inputs.collate_fn = AudioCollator(target_sampling_rate=16000)
        return plain(self, inputs, **kwargs)

    mono = figures(Cues(), SpatialMirror(folder, "mono"))
    monkeypatch.setattr(StereoEncoder, "encode", as_others)
    assert figures(Cues(), SpatialMirror(folder))["text_acc"] == mono["text_acc"] < 0.75


def test_all_channels_and_samples_arrive(folder):
    embedder = Listening()
    scored(embedder, SpatialAssignment(folder))
    sounds = next(own for own in read_frozen(folder) if own.name == "2src")
    wanted = sounds.waves(slice(None)).repeat(2, axis=0)
    assert wanted.shape == (32, 2, 16000) and np.array_equal(np.stack(embedder.heard), wanted)
    assert embedder.told == [(16000, array) for array in sounds.arrays for _ in range(2)]
    said = [scene_caption(scene, order) for scene in sounds.scenes for order in ((0, 1), (1, 0))]
    assert embedder.read == said


def test_pairs_and_their_score_against_brute_force(folder):
    task = SpatialMirror(folder)
    task.load_data()
    rows, wanted, recordings = task.dataset["test"], [], []
    for own in read_frozen(folder):
        for row, scene in enumerate(own.scenes):
            ends = dict(zip(map(PHRASES.get, DIRECTIONS), map(PHRASES.get, DIRECTIONS[::-1]), strict=True))
            contents = [source.caption for source in scene.sources]
            places = [PHRASES[source.direction] for source in scene.sources]
            clauses = [f"{what} {ends[where]}" for what, where in zip(contents, places, strict=True)]
            mirrored = ", ".join((*clauses[:-1], f"and {clauses[-1]}" if own.scenes[0].size > 1 else clauses[-1]))
            if any(where != ends[where] for where in places):
                wanted += [(true_caption(scene), 1), (mirrored, 0)]
                recordings.append(own.recordings[row])
    assert list(zip(rows["text"], rows["label"], strict=True)) == wanted and len(wanted) < 96
    embedder = Listening()
    found = figures(embedder, task)
    cosines = [
        (1 + a * b) / np.hypot(1, a) / np.hypot(1, b)
        for a, b in zip([np.abs(wave).sum() for wave in embedder.heard], [len(text) for text, _ in wanted], strict=True)
    ]
    right = [true > other for true, other in zip(cosines[::2], cosines[1::2], strict=True)]
    expected = Clusters(recordings).mean(np.array(right, dtype=float), 1)
    assert [found[f"text_acc{end}"] for end in ("", "_low", "_high")] == pytest.approx(list(expected))


def test_a_tie_is_no_hit(folder):
    deaf = SimpleNamespace(
        embed_audio=lambda waves, rate, array=None: np.ones((len(waves), 2)),
        embed_text=lambda captions: np.ones((len(captions), 2)),
    )
    assert figures(deaf, SpatialAssignment(folder))["text_acc"] == 0


def test_what_is_true_all_the_same_is_no_wrong_caption(corpus):
    scene = corpus.fixed("test", 2)[0]
    first, second = scene.sources
    assert is_true((scene, (0, 1)), scene) and not is_true((scene, (1, 0)), scene)
    alike = replace(scene, sources=(first, replace(second, labels=first.labels)))
    assert is_true((alike, (1, 0)), alike)


def test_results_of_other_sets_and_controls_are_not_reused(corpus, folder, tmp_path):
    """mteb looks for results by names and revisions, and takes a task's own name back when it unloads its data."""
    cache, other = mteb.ResultCache(tmp_path / "cache"), written(corpus, tmp_path / "other", (2,), slice(5))
    plain = scored(Cues(), SpatialMirror(folder), cache).get_score()
    few = scored(Cues(), small := SpatialMirror(other), cache)
    mono = scored(Cues(), task := SpatialMirror(folder, "mono"), cache).get_score()
    assert plain > 0.75 > 0.7 > mono
    assert task.metadata.name == f"SpatialMirror-{task.metadata.revision[:8]}-mono" and not task.data_loaded
    assert len(small.recordings) <= 5 and few.dataset_revision == small.metadata.revision
    deaf = Listening()
    assert (
        scored(deaf, task, cache).get_score() == pytest.approx(mono, abs=1e-6) and not deaf.heard
    )  # the same set and model are
    assert scored(Cues(), SpatialMirror(other), cache).dataset_revision == few.dataset_revision
    assert scored(Listening(), task, cache, revision="2").get_score() != pytest.approx(mono, abs=1e-6)


def test_what_cannot_be_asked_is_refused(corpus, folder, tmp_path):
    for control in ("stereo", "text_alone"):
        with pytest.raises(DataError, match="mono, left, exchanged"):
            SpatialAssignment(folder, control)
    one = written(corpus, tmp_path / "one", (1,))
    with pytest.raises(DataError, match="no scenes that SpatialAssignment-.* can ask"):
        SpatialAssignment(one).load_data()
    with pytest.raises(DataError, match="not found; `spclap make-scenes` writes"):
        SpatialAssignment(tmp_path / "nothing")
    next((one / "audio").iterdir()).write_bytes(b"other")
    with pytest.raises(DataError, match="make it anew"):
        SpatialMirror(one).load_data()


class Decoder:
    """As `datasets.Audio` gives it where torchcodec is installed: its `array` is the mean of the channels."""

    def __init__(self, wave):
        self.wave = wave

    def get_all_samples(self):
        return SimpleNamespace(data=torch.from_numpy(self.wave), sample_rate=8000)

    def __getitem__(self, key):
        return {"array": self.wave.mean(axis=0), "sampling_rate": 8000}[key]


def test_decoders_give_all_channels():
    wave = np.random.default_rng(0).standard_normal((2, 50)).astype(np.float32)
    found, rate, array = recording(Decoder(wave))
    assert np.array_equal(found, wave) and (rate, array) == (8000, None)
    found, rate, array = recording({"array": wave[0], "sampling_rate": 16000, "path": "x"})
    assert np.array_equal(found, wave[[0, 0]]) and (rate, array) == (16000, None)


def test_recordings_of_several_lengths_keep_their_order():
    waves = [np.full((2, length), level, dtype=np.float32) for length, level in ((5, 1), (9, 2), (5, 3), (9, 4))]
    items = [{"array": wave, "sampling_rate": 8000, "microphones": "ortf"} for wave in waves[:3]] + [Decoder(waves[3])]
    embedder = Listening()
    found = StereoEncoder(embedder, "spclap/test", "1").encode([{"audio": items}, {"text": ["abc"]}])
    wanted = np.array([[1, np.abs(wave).sum()] for wave in waves] + [[1, 3]])
    assert found == pytest.approx(wanted / np.linalg.norm(wanted, axis=1, keepdims=True))
    assert embedder.told == [(8000, "ortf")] * 3 + [(8000, None)]


@pytest.mark.parametrize("batch", [{"image": [1]}, {"audio": [1], "text": ["a"]}])
def test_other_inputs_are_refused(batch):
    with pytest.raises(DataError, match="either audio or text"):
        StereoEncoder(Listening(), "spclap/test", "1").encode([batch])


@pytest.mark.parametrize(("value", "message"), [(np.nan, "not finite"), (0.0, "is zero")])
def test_vectors_of_a_broken_model_are_refused(value, message):
    broken = SimpleNamespace(
        embed_audio=lambda waves, rate, array=None: np.full((len(waves), 2), value),
        embed_text=lambda captions: np.full((len(captions), 2), value),
    )
    for batch in ({"text": ["a"]}, {"audio": [{"array": np.ones((2, 9)), "sampling_rate": 8000}]}):
        with pytest.raises(DataError, match=message):
            StereoEncoder(broken, "spclap/test", "1").encode([batch])
