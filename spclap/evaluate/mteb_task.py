"""Binding of sounds and places as tasks of mteb (Massive Text Embedding Benchmark; extra `mteb`), for stereo.

    model = StereoEncoder(load_embedder("exp/mini/seed0/scl"), "spclap/scl", "seed0")
    mteb.evaluate(model, [SpatialAssignment("sets/ortf"), SpatialAssignment("sets/ortf", "mono")], cache=None)

Tasks read frozen sets that `spclap make-scenes` wrote. mteb's own models can do them too, and hear the mean of the
channels, as its `AudioCollator` gives it to them. Results of a cache are found by names and revisions: of a model that
was trained anew, give another revision.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import soundfile
from datasets import Dataset
from mteb.abstasks import AbsTaskPairClassification
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.models import ModelMeta
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_meta import ScoringFunction

from spclap.errors import DataError
from spclap.evaluate.controls import CONTROLS, mirror_image
from spclap.evaluate.embedder import Embedder
from spclap.evaluate.frozen import SceneSet, read_frozen
from spclap.evaluate.intervals import Clusters
from spclap.evaluate.metrics import of_unit
from spclap.model.folders import SUMS, sha256
from spclap.scene.caption import scene_caption, true_caption
from spclap.scene.meaning import caption_width, fits, statements
from spclap.scene.scene import Scene

Said = tuple[Scene, Sequence[int]]  # a scene and a permutation: a caption, see `scene_caption`
Pair = tuple[SceneSet, int, str, str]  # a set and a row of it, with its true caption and the other


def _metadata(name: str, description: str) -> TaskMetadata:
    return TaskMetadata(
        name=name,
        description=description,
        dataset={"path": "spclap/frozen", "revision": "none"},
        type="AudioPairClassification",
        category="a2t",
        modalities=["audio", "text"],
        eval_langs=["eng-Latn"],
        main_score="text_acc",
        domains=["AudioScene"],
        task_subtypes=["Caption Pairing"],
        annotations_creators="algorithmic",
        sample_creation="rendered",
    )


class ScenePairs(AbsTaskPairClassification):
    """Every recording with its true caption (label 1) and with another that is not true of it (label 0).

    `audio` of a row is what mteb calls AudioInputItem, `array` (channels, T) in [-1, 1] and `sampling_rate` in Hz, with
    `microphones`, the words for what heard it. `text_acc`, the main score, is the share of recordings whose true
    caption scores higher, a tie is none; chance 0.5. `text_acc_low` and `text_acc_high` are its 95% interval over
    source recordings. What mteb has for pairs, such as `max_ap`, compares scores of different recordings as well.

    Args:
        folder: written by `spclap make-scenes`.
        control: one of CONTROLS that changes recordings, such as "mono".

    The task's name says both, the folder by its hash, so that results of others are never reused.

    DataError for a folder that is not as it was written, for other controls, and where no scene has such a pair.
    """

    input1_column_name: ClassVar[dict[str, str]] = {"audio": "audio"}
    input2_column_name: ClassVar[dict[str, str]] = {"text": "text"}
    label_column_name = "label"

    def __init__(self, folder: Path | str, control: str | None = None, **kwargs: Any):
        waves = {name: own for name, own in CONTROLS.items() if own.waves is not None}
        if control is not None and control not in waves:
            raise DataError(f"control {control}: recordings can be changed by {', '.join(waves)}")
        self.folder, self.control = Path(folder), waves.get(control)
        if not (self.folder / SUMS).is_file():
            raise DataError(f"{self.folder / SUMS}: not found; `spclap make-scenes` writes such folders")
        revision = sha256(self.folder / SUMS)
        # In the name as well: mteb takes complete results from its cache whatever the revision of their data.
        name = "-".join((self.metadata.name, revision[:8], *([control] if control else [])))
        dataset = {"path": str(folder), "revision": revision}
        self.metadata = self.of_set = self.metadata.model_copy(update={"name": name, "dataset": dataset})
        super().__init__(**kwargs)

    def other(self, scene: Scene) -> Said | None:
        """What is said that is not true, None for a scene that this task does not ask about."""
        raise NotImplementedError

    def load_data(self, num_proc: int | None = None, **kwargs: Any) -> None:
        """Reads captions; recordings are read when they are encoded."""
        if self.data_loaded:
            return
        pairs = [pair for sounds in read_frozen(self.folder) for pair in self._pairs(sounds)]
        if not pairs:
            raise DataError(f"{self.folder}: no scenes that {self.metadata.name} can ask about")
        self.recordings = [sounds.recordings[row] for sounds, row, *_ in pairs]
        rows = [
            {"audio": {"path": str(sounds.files[row]), "microphones": sounds.arrays[row]}, "text": text, "label": label}
            for sounds, row, *texts in pairs
            for text, label in zip(texts, (1, 0), strict=True)
        ]
        self.dataset = {"test": Dataset.from_list(rows).with_transform(self._read)}
        self.data_loaded = True

    def unload_data(self) -> None:
        """Keeps name and revision, which mteb takes back: the next evaluation would find results of another set."""
        super().unload_data()
        self.metadata = self.of_set

    def _pairs(self, sounds: SceneSet) -> list[Pair]:
        found = []
        for row, scene in enumerate(sounds.scenes):
            heard = mirror_image(scene) if self.control is not None and self.control.mirrored else scene
            if (other := self.other(heard)) is not None and not is_true(other, heard):
                found.append((sounds, row, true_caption(heard), scene_caption(*other)))
        return found

    def _read(self, rows: dict[str, list]) -> dict[str, list]:
        """Rows with recordings in place of their files: all channels, all samples, unlike `datasets.Audio`."""
        if "audio" not in rows:
            return rows
        heard = []
        for item in rows["audio"]:
            wave, rate = soundfile.read(item["path"], dtype="float32", always_2d=True)
            wave = wave.T if self.control is None else self.control.waves(wave.T[None])[0]
            heard.append({"array": wave, "sampling_rate": rate, "microphones": item["microphones"]})
        return {**rows, "audio": heard}

    def _compute_metrics(self, similarity_scores: dict[str, list[float]], labels: list[int]) -> dict[str, float]:
        true, other = np.reshape(similarity_scores["similarity_scores"], (-1, 2)).T
        found = super()._compute_metrics(similarity_scores, labels)
        figures = Clusters(self.recordings).mean(1.0 * (true > other), 1)
        return found | dict(zip(("text_acc", "text_acc_low", "text_acc_high"), figures, strict=True))


class SpatialAssignment(ScenePairs):
    """Scenes of two sources: the other caption has them exchanged, so all sounds and all directions are right."""

    metadata = _metadata("SpatialAssignment", "Which of two sounds is at which of two places, in stereo recordings.")

    def other(self, scene: Scene) -> Said | None:
        return (scene, (1, 0)) if scene.size == 2 else None


class SpatialMirror(ScenePairs):
    """Scenes of any number of sources: the other caption is that of the mirror image, so all sounds are right, and a
    model that tells left from right, and no sounds, has all."""

    metadata = _metadata("SpatialMirror", "Left or right: a stereo recording's caption against its mirror image's.")

    def other(self, scene: Scene) -> Said | None:
        return mirror_image(scene), range(scene.size)


def is_true(said: Said, scene: Scene) -> bool:
    """Whether a caption is true of a scene all the same (see meaning.py)."""
    width = caption_width([scene])
    told, heard = statements([said], width)[0], statements([(scene, range(scene.size))], width)[1]
    return bool(fits(told, heard)[0, 0])


class StereoEncoder(AbsEncoder):
    """An embedder as mteb's EncoderProtocol, for its audio and text tasks, with all channels of recordings.

    Args: name, "organization/model", and revision, under which results are kept.
    """

    def __init__(self, embedder: Embedder, name: str, revision: str):
        self.embedder = embedder
        about = {"name": name, "revision": revision, "modalities": ["audio", "text"], "languages": ["eng-Latn"]}
        self.mteb_model_meta = ModelMeta.create_empty(about | {"similarity_fn_name": ScoringFunction.COSINE})

    def encode(self, inputs: Any, **kwargs: Any) -> np.ndarray:
        """A DataLoader of batches of either `audio` or `text` -> (n, D) of unit length, float. DataError for batches of
        both or none, and for vectors that are zero or not finite."""
        return np.concatenate([self._batch(batch) for batch in inputs])

    def _batch(self, batch: dict[str, list]) -> np.ndarray:
        if ("audio" in batch) == ("text" in batch):
            raise DataError(f"inputs have {', '.join(batch)}; this model encodes either audio or text")
        if "text" in batch:
            return of_unit(self.embedder.embed_text(list(batch["text"])), len(batch["text"]), "text")
        heard, alike, found = [recording(item) for item in batch["audio"]], {}, {}
        for row, (wave, *about) in enumerate(heard):
            alike.setdefault((wave.shape, *about), []).append(row)
        for (_, rate, array), rows in alike.items():
            vectors = self.embedder.embed_audio(np.stack([heard[row][0] for row in rows]), rate, array)
            found |= dict(zip(rows, of_unit(vectors, len(rows), "audio"), strict=True))
        return np.stack([found[row] for row in range(len(heard))])


def recording(item: Any) -> tuple[np.ndarray, int, str | None]:
    """Wave (channels, T), rate in Hz, and what heard it, of an item of mteb: a mapping, or a decoder of `datasets`,
    whose own `array` is the mean of the channels. One channel becomes two that are equal."""
    if hasattr(item, "get_all_samples"):
        samples = item.get_all_samples()
        wave, rate, array = samples.data.cpu().numpy(), samples.sample_rate, None
    else:
        wave, rate, array = np.asarray(item["array"]), item["sampling_rate"], item.get("microphones")
    wave = np.atleast_2d(wave).astype(np.float32)
    return wave if len(wave) > 1 else wave.repeat(2, axis=0), int(rate), array
