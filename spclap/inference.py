"""Vectors of recordings and captions from a trained model, and what it says of them.

model = SpatialCLAP.from_pretrained()  # the released one; or a folder, or a name on the hub
audio = model.embed_audio(["street.wav"])
text = model.embed_text(["a dog barks on the left side, and rain falls in front"])
similarity = audio @ text.T
"""

import shutil
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from spclap import timeline, zero_shot
from spclap.data.recordings import Recording, alone, either_rate
from spclap.errors import DataError
from spclap.listening import Listener
from spclap.model import hub
from spclap.model.captioner import Captioner
from spclap.model.checkpoints import CAPTIONER, load_captioner, load_model
from spclap.model.folders import new_folder
from spclap.model.packaged import EXAMPLE as EXAMPLE
from spclap.space.array import Array
from spclap.space.directions import DIRECTIONS
from spclap.timeline import Cell

VOCABULARY = "vocabulary.txt"  # of a model directory: names of sounds that it knows, one a line


class SpatialCLAP(Listener):
    """A trained Spatial-CLAP: what people ask of it. Recordings and `array` are those of `Listener`."""

    _asked: tuple[list[str], np.ndarray | None] = ([], None)  # captions and their vectors

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path | None = None,
        device: str | torch.device = "cpu",
        revision: str | None = None,
        scene_seconds: float | None = None,
    ) -> "SpatialCLAP":
        """Load a model directory, or one that the hub has under the name `user/model`, at a `revision` (branch, tag or
        commit) if told; without a name the released model. DataError when there is none."""
        folder = hub.located(name, revision)
        return cls(load_model(folder, device), folder, scene_seconds)

    def save_pretrained(self, folder: str | Path) -> None:
        """Copy the model directory. DataError when `folder` exists, and for a model that was not loaded from one."""
        with new_folder(Path(folder)) as temporary:
            shutil.copytree(self._own_folder, temporary, dirs_exist_ok=True)

    def push_to_hub(
        self,
        name: str,
        revision: str | None = None,
        token: str | None = None,
        private: bool = False,
        commit_message: str = "Push a model of spclap",
    ) -> str:
        """Push the model directory to the hub as `user/model`, and return the commit's address. DataError for what the
        hub refuses, and for a model that was not loaded from a directory."""
        return hub.push(self._own_folder, name, revision, token, private, commit_message)

    @property
    def _own_folder(self) -> Path:
        if self.folder is None:
            raise DataError("the model was not loaded from a folder, so there is nothing to copy; use save_model")
        return self.folder

    @either_rate
    def classify(
        self,
        audio: Recording | Sequence[Recording],
        candidate_labels: Sequence[str],
        where: str | None = None,
        hypothesis_template: str = "{}",
        sampling_rate: int | None = None,
        array: Array | str | None = None,
    ) -> list[dict] | list[list[dict]]:
        """Which of these sounds is heard: [{"score", "label", "where"}, ...] of a recording, the likeliest first, or a
        list of those for several.

        Each label is asked at each of DIRECTIONS; a score is the softmax over all of these, summed over directions, and
        `where` the likeliest direction. With `where`, it is asked what sounds there: the softmax over labels at that
        direction. `hypothesis_template` makes words of a label, before its place is said. DataError for labels that are
        none or stand twice, for a template without one {}, and for a `where` that is no direction.
        """
        zero_shot.require_direction(where)
        labels = zero_shot.labels_of(candidate_labels)
        text = self._vectors(zero_shot.placed(labels, hypothesis_template))
        cosines = self.embed_audio(audio, sampling_rate, array) @ text.T
        logits = self.logit_scale * cosines.reshape(len(cosines), len(labels), len(DIRECTIONS))
        return of_each(audio, [zero_shot.by_label(rows, labels, where) for rows in logits])

    @either_rate
    def locate(
        self,
        audio: Recording | Sequence[Recording],
        what: str | Sequence[str],
        sampling_rate: int | None = None,
        array: Array | str | None = None,
    ) -> dict[str, float] | list:
        """Where a sound is: direction -> probability, in the order of DIRECTIONS; a list of those for several sounds,
        and a list of that for several recordings.

        The softmax over `what` at each direction, at the model's `temperature`: where the sound is if it is there.
        DataError for a `what` that is no text.
        """
        asked = zero_shot.labels_of([what] if isinstance(what, str) else what)
        text = self._vectors(zero_shot.placed(asked))
        cosines = self.embed_audio(audio, sampling_rate, array) @ text.T
        sounds = cosines.reshape(len(cosines), len(asked), len(DIRECTIONS))
        found = [[zero_shot.by_place(row, self.temperature) for row in rows] for rows in sounds]
        return of_each(audio, [rows[0] for rows in found] if isinstance(what, str) else found)

    @either_rate
    def rank(
        self,
        audio: Recording | Sequence[Recording],
        captions: Sequence[str],
        sampling_rate: int | None = None,
        array: Array | str | None = None,
    ) -> list[dict] | list[list[dict]]:
        """Captions by their cosine with a recording: [{"score", "caption"}, ...], the best first; a list of those for
        several recordings."""
        captions = [captions] if isinstance(captions, str) else list(captions)
        cosines = self.embed_audio(audio, sampling_rate, array) @ self._vectors(captions).T
        return of_each(audio, [zero_shot.ranked(row, captions) for row in cosines])

    @either_rate
    def timeline(
        self,
        recording: Recording,
        labels: Sequence[str] | None = None,
        window: float | None = None,
        hop: float | None = None,
        sampling_rate: int | None = None,
        array: Array | str | None = None,
    ) -> Iterator[Cell]:
        """What sounds where, a cell for each window and direction, windows as of `windows`: the likeliest of `labels`
        (the `vocabulary` if not given), nothing in a window of nothing but noise and where the direction's block is all
        but empty. DataError for a model without such blocks, and as of `windows` and `classify`."""
        labels = self.vocabulary if labels is None else zero_shot.labels_of(labels)
        text = self._placed_vectors(labels)
        for heard in self.windows(recording, window, hop, sampling_rate=sampling_rate, array=array):
            yield from self._cells(heard.start, heard.end, heard.vector if heard.something else None, labels, text)

    def _placed_vectors(self, labels: Sequence[str]) -> np.ndarray:
        """(labels * directions, dim); DataError for a model without blocks."""
        if not self.clap.has_blocks:
            raise DataError("this model has no block for each direction, so it cannot tell which are empty")
        return self._vectors(zero_shot.placed(labels))

    def _vectors(self, captions: list[str]) -> np.ndarray:
        """Those of `embed_text`, kept until others are asked for: the same ones are asked of many recordings."""
        if self._asked[0] != captions or not captions:
            self._asked = (captions, self.embed_text(captions))
        return self._asked[1]

    def _cells(self, start: float, end: float, vector: np.ndarray | None, labels: Sequence[str], text: np.ndarray):
        cosines = np.zeros(len(text)) if vector is None else text @ vector
        logits = self.logit_scale * cosines.reshape(len(labels), len(DIRECTIONS))
        return timeline.cells(start, end, vector, logits, labels)

    @property
    def logit_scale(self) -> float:
        """Factor on cosines that training found, as in CLIP."""
        return self.clap.scale().item()

    @property
    def temperature(self) -> float:
        """By which `locate` divides cosines: fitted on validation scenes where the model directory says so, the inverse
        of `logit_scale` otherwise. DataError for one that is not above 0."""
        value = (self.about.get("calibration") or {}).get("temperature", 1 / self.logit_scale)
        if not isinstance(value, float | int) or not 0 < value < float("inf"):
            raise DataError(f"{self.folder}: calibration: temperature is {value!r}; it must be above 0")
        return float(value)

    @cached_property
    def vocabulary(self) -> list[str]:
        """Names of sounds that the model directory lists; DataError where there are none."""
        path = None if self.folder is None else self.folder / VOCABULARY
        if path is None or not path.is_file():
            raise DataError(f"{path or 'the model'}: the model lists no sounds that it knows; name those to look for")
        return zero_shot.labels_of([line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line])

    @cached_property
    def captioner(self) -> Captioner:
        """DataError for a model without one."""
        if self.folder is None:
            raise DataError("the model has no folder and so no captioner; load one with from_pretrained")
        return load_captioner(self.folder, self.clap.dim, self.device)

    @either_rate
    def caption(
        self,
        recordings: Recording | Sequence[Recording],
        sampling_rate: int | None = None,
        beams: int = 1,
        array: Array | str | None = None,
    ) -> list[str]:
        """What recordings as a whole are about, and where: the words of the model's captioner, greedy or with `beams`;
        of a model without one, the likeliest sound of its vocabulary at each direction that is not empty. One of
        nothing but noise has a caption too, and a line that says so."""
        return self._say(self.embed_audio(recordings, sampling_rate, array), beams)

    @either_rate
    def caption_windows(
        self,
        recording: Recording,
        sampling_rate: int | None = None,
        window: float | None = None,
        beams: int = 1,
        array: Array | str | None = None,
    ) -> Iterator[tuple[float, float, str | None]]:
        """Start and end in s of every window of a recording and what it is about, None where it is silent or noise."""
        for heard in self.windows(recording, window, sampling_rate=sampling_rate, array=array):
            yield heard.start, heard.end, self._say(heard.vector[None], beams)[0] if heard.something else None

    @torch.inference_mode()
    def _say(self, vectors: np.ndarray, beams: int) -> list[str]:
        if self._names:
            known = self.vocabulary, self._placed_vectors(self.vocabulary)
            return [timeline.caption(self._cells(0.0, 0.0, vector, *known)) for vector in vectors]
        return self.captioner.generate(torch.from_numpy(vectors).to(self.device), beams)

    @property
    def _names(self) -> bool:
        """Whether captions are made of the vocabulary, since the model has that and no captioner."""
        folder = self.folder
        return folder is not None and (folder / VOCABULARY).is_file() and not (folder / CAPTIONER).is_file()


def of_each(audio: Recording | Sequence[Recording], found: list) -> object:
    """What was found of each recording; of one that is not in a list, that alone."""
    return found[0] if alone(audio) else found
