"""What is ranked against what (PAPER, Table 1). All scores are arrays over scenes, so models can be paired."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from spclap.data.progress import progress
from spclap.errors import DataError
from spclap.evaluate.embedder import Embedder
from spclap.evaluate.frozen import SceneSet
from spclap.evaluate.metrics import choose, of_unit, ranks
from spclap.scene.caption import scene_caption, true_caption
from spclap.scene.meaning import caption_width, fits, statements
from spclap.scene.scene import Scene
from spclap.space.array import SAMPLE_RATE
from spclap.space.directions import DIRECTIONS
from spclap.space.wording import TEMPLATE, Words

AT_ONCE = 256  # scenes that are ranked together


class Embeddings:
    """Audio vectors of scenes of one size, and the text vectors that protocols ask for.

    Args: text, vectors of captions that `embedder` has read; shared by those who say the same of other sounds.
    """

    def __init__(self, embedder: Embedder, text: dict[str, np.ndarray] | None = None):
        self.embedder = embedder
        self.scenes: list[Scene] = []
        self._audio: list[np.ndarray] = []
        self._text = {} if text is None else text

    def add(self, scenes: list[Scene], audio: np.ndarray) -> None:
        """Scenes and their audio vectors (n, dim); DataError for another number of vectors, or one not finite."""
        if len(scenes) != len(audio):
            raise DataError(f"{len(audio)} vectors of {len(scenes)} scenes; delete dump/<corpus>/heard and rerun")
        self._audio.append(of_unit(audio, len(scenes), "audio"))
        self.scenes += scenes

    def hear(
        self, sounds: SceneSet, waves: Callable[[np.ndarray], np.ndarray] | None = None,
        scenes: list[Scene] | None = None, at_once: int = 32,
    ) -> "Embeddings":  # fmt: skip
        """Adds a set of scenes, with what `waves` makes of the recordings, as `scenes` if they are others then. A model
        with a method `heard` is asked first for the vectors that it has of a set as it is, None if it has none."""
        kept = getattr(self.embedder, "heard", lambda sounds: None)
        if waves is None and (audio := kept(sounds)) is not None:
            self.add(sounds.scenes, audio)
            return self
        parts = [slice(first, first + at_once) for first in range(0, len(sounds.scenes), at_once)]
        for rows in progress(parts, desc=sounds.name, unit="batch"):
            heard = sounds.waves(rows) if waves is None else waves(sounds.waves(rows))
            self.add(
                (scenes or sounds.scenes)[rows], self.embedder.embed_audio(heard, SAMPLE_RATE, sounds.arrays[rows])
            )
        return self

    def empty(self) -> "Embeddings":
        """Of the same model, which has read what it has read."""
        return Embeddings(self.embedder, self._text)

    def said(self, words: Words) -> "Embeddings":
        """The same recordings, each said in other words that are drawn for it."""
        wordings = (words.draw(np.random.default_rng([8, row]), scene.size) for row, scene in enumerate(self.scenes))
        return self.told([replace(scene, wording=own) for scene, own in zip(self.scenes, wordings, strict=True)])

    def told(self, scenes: list[Scene]) -> "Embeddings":
        """The same recordings as scenes that are told otherwise."""
        other = self.empty()
        other.scenes, other._audio = scenes, self._audio
        return other

    @property
    def audio(self) -> np.ndarray:
        return np.concatenate(self._audio)

    def text(self, captions: Sequence[str], batch_size: int = 256) -> np.ndarray:
        """(n, dim); every caption is encoded once. DataError for a vector that is not finite."""
        new = [caption for caption in dict.fromkeys(captions) if caption not in self._text]
        new.sort(key=len)  # those of a batch are padded to the longest
        with progress(total=len(new), desc="captions") as bar:
            for first in range(0, len(new), batch_size):
                part = new[first : first + batch_size]
                self._text.update(zip(part, of_unit(self.embedder.embed_text(part), len(part), "text"), strict=True))
                bar.update(len(part))
        return np.stack([self._text[caption] for caption in captions])

    def similarity(self, captions: Sequence[str], rows: slice = slice(None)) -> np.ndarray:
        """(scenes, captions): cosines. Equal captions have equal columns to the last bit: each is multiplied once."""
        unique = {caption: column for column, caption in enumerate(dict.fromkeys(captions))}
        products = self.audio[rows] @ self.text(list(unique)).T
        return products[:, [unique[caption] for caption in captions]]


def retrieval(embeddings: Embeddings) -> tuple[np.ndarray, np.ndarray]:
    """Ranks (0 is best) of all scenes audio-to-text and text-to-audio.

    Right is every caption that is true of a recording, and every recording that a caption is true of (see `fits`). The
    gallery of texts holds each caption once. Memory grows with the number of scenes, not with its square.
    """
    scenes, captions = embeddings.scenes, list(map(true_caption, embeddings.scenes))
    said, true = statements([(scene, range(scene.size)) for scene in scenes], caption_width(scenes))
    texts, who = np.unique(captions, return_inverse=True)
    audio, text = embeddings.audio, embeddings.text(texts.tolist())
    told = torch.cat([said.flatten(1), torch.from_numpy(who)[:, None]], dim=1).unique(dim=0)  # each statement once
    said, owner = told[:, :-1].unflatten(1, said.shape[1:]), told[:, -1]
    a2t, t2a = np.empty(len(scenes), dtype=int), np.empty(len(texts), dtype=int)
    for rows in _parts(len(scenes)):
        right = _any_of(fits(said, true[rows]), owner, len(texts))
        a2t[rows] = ranks(audio[rows] @ text.T, right)
    for rows in _parts(len(texts), max(AT_ONCE * len(texts) // len(said), 1)):
        mine = (owner >= rows.start) & (owner < rows.stop)
        right = _any_of(fits(said[mine], true), owner[mine] - rows.start, len(texts[rows]))
        t2a[rows] = ranks(text[rows] @ audio.T, right.T)
    return a2t, t2a[who]


def own_retrieval(embeddings: Embeddings) -> tuple[np.ndarray, np.ndarray]:
    """Ranks audio-to-text and text-to-audio where a scene's own caption alone is right, as the paper's: scenes that say
    the same tie, and a tie counts against the model."""
    captions, count = list(map(true_caption, embeddings.scenes)), len(embeddings.scenes)
    text, audio, found = embeddings.text(captions), embeddings.audio, []
    for rows in _parts(count):
        own = np.arange(count)[rows, None] == np.arange(count)
        found.append((ranks(embeddings.similarity(captions, rows), own), ranks(text[rows] @ audio.T, own)))
    return tuple(map(np.concatenate, zip(*found, strict=True)))


def _parts(count: int, at_once: int = AT_ONCE) -> list[slice]:
    return [slice(first, min(first + at_once, count)) for first in range(0, count, at_once)]


def _any_of(right: torch.Tensor, owner: torch.Tensor, count: int) -> np.ndarray:
    """(R, N) bool -> (R, count): whether one of those that `owner` gives to each is right."""
    return (torch.zeros(len(right), count).index_add(1, owner, right.float()) > 0).numpy()


def captions_of_clips(embeddings: Embeddings) -> tuple[np.ndarray, np.ndarray]:
    """Ranks (0 is best) where a clip has several captions, all of them in the gallery, as LAION-CLAP scores Clotho.

    Args: embeddings of one-source scenes. Returns: audio-to-text (n,), the rank of the best of a scene's own captions
    among those of other clips; text-to-audio, one rank per caption.
    """
    texts, owner = [], []
    for index, scene in enumerate(embeddings.scenes):
        (source,) = scene.sources
        texts += [TEMPLATE.caption([caption], [source.direction]) for caption in source.every_caption]
        owner += [index] * len(source.every_caption)
    own = np.arange(len(embeddings.scenes))[:, None] == np.array(owner)
    similarity = embeddings.similarity(texts)
    return ranks(similarity, own), ranks(similarity.T, own.T)


def _candidates(embeddings: Embeddings, captions: list[list[str]], at_once: int = 256) -> np.ndarray:
    """Scores (n, k) of each scene's audio against its own k candidate captions."""
    rows = []
    for first in range(0, len(captions), at_once):
        part = captions[first : first + at_once]
        table = embeddings.similarity([c for row in part for c in row], slice(first, first + at_once))
        table = table.reshape(len(part), len(part), -1)
        rows.append(table[np.arange(len(part)), np.arange(len(part))])
    return np.concatenate(rows)


def assignment(embeddings: Embeddings) -> np.ndarray:
    """Content-space assignment: True where the true permutation's caption beats all others."""
    captions = [[scene_caption(scene, p) for p in scene.permutations()] for scene in embeddings.scenes]
    return choose(_candidates(embeddings, captions), np.zeros(len(captions), dtype=int))


def direction(embeddings: Embeddings) -> tuple[np.ndarray, np.ndarray]:
    """Directions for the known contents: 5-way for one source, 25-way for two (all ordered pairs).

    Returns: correct (n,) and the confusion matrix (5, 5) of true (rows) and chosen directions.
    """
    size = embeddings.scenes[0].size
    options = list(itertools.product(DIRECTIONS, repeat=size))
    captions = [
        [scene.wording.caption([source.caption for source in scene.sources], option) for option in options]
        for scene in embeddings.scenes
    ]
    truths = [tuple(source.direction for source in scene.sources) for scene in embeddings.scenes]
    scores = _candidates(embeddings, captions)
    confusion = np.zeros((len(DIRECTIONS), len(DIRECTIONS)), dtype=int)
    for row, truth in zip(scores, truths, strict=True):
        for true, chosen in zip(truth, options[int(row.argmax())], strict=True):
            confusion[DIRECTIONS.index(true), DIRECTIONS.index(chosen)] += 1
    return choose(scores, np.array([options.index(truth) for truth in truths])), confusion


def placed(embeddings: Embeddings) -> np.ndarray:
    """True where the caption beats the one that has a sound of it, drawn, at a direction where nothing sounds."""
    captions = []
    for row, scene in enumerate(embeddings.scenes):
        rng, where = np.random.default_rng([10, row]), [source.direction for source in scene.sources]
        empty = [direction for direction in DIRECTIONS if direction not in where]
        where[rng.integers(scene.size)] = empty[rng.integers(len(empty))]
        moved = scene.wording.caption([source.caption for source in scene.sources], where)
        captions.append([true_caption(scene), moved])
    return choose(_candidates(embeddings, captions), np.zeros(len(captions), dtype=int))
