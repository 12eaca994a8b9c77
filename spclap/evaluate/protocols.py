"""What is ranked against what (PAPER, Table 1). All scores are arrays over scenes, so models can be paired."""

import itertools

import numpy as np
import torch

from spclap.evaluate.metrics import choose, ranks
from spclap.model.spatial_clap import SpatialClap
from spclap.scene.caption import caption_at, scene_caption
from spclap.scene.directions import DIRECTIONS
from spclap.scene.scene import Scene


class Embeddings:
    """Audio vectors of scenes of one size, and the text vectors that protocols ask for."""

    def __init__(self, clap: SpatialClap):
        self.clap = clap
        self.scenes: list[Scene] = []
        self._audio: list[np.ndarray] = []
        self._text: dict[str, np.ndarray] = {}

    def add(self, scenes: list[Scene], audio: np.ndarray) -> None:
        """Scenes and their audio vectors (n, dim)."""
        self.scenes += scenes
        self._audio.append(audio)

    @property
    def audio(self) -> np.ndarray:
        return np.concatenate(self._audio)

    @torch.no_grad()
    def text(self, captions: list[str], batch_size: int = 256) -> np.ndarray:
        """(n, dim); every caption is encoded once."""
        new = [caption for caption in dict.fromkeys(captions) if caption not in self._text]
        for first in range(0, len(new), batch_size):
            part = new[first : first + batch_size]
            ids = self.clap.text_encoder.tokenize(part).to(self.clap.logit_scale.device)
            self._text.update(zip(part, self.clap.embed_text(ids).cpu().numpy(), strict=True))
        return np.stack([self._text[caption] for caption in captions])


def true_caption(scene: Scene) -> str:
    return scene_caption(scene, range(scene.size))


def gallery(scenes: list[Scene]) -> list[int]:
    """Indices of scenes, each the first of its meaning, by labels and by captions.

    Two scenes that say the same would make rank 1 a matter of luck.
    """
    seen: set = set()
    kept = []
    for index, scene in enumerate(scenes):
        keys = set(scene.meanings(range(scene.size)))
        if not keys & seen:
            kept.append(index)
        seen |= keys
    return kept


def retrieval(embeddings: Embeddings, every: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ranks (0 is best) audio-to-text and text-to-audio over the gallery, and the similarity matrix.

    With `every` scene in the gallery those that say the same tie, and a tie counts against the model.
    """
    kept = list(range(len(embeddings.scenes))) if every else gallery(embeddings.scenes)
    similarity = embeddings.audio[kept] @ embeddings.text([true_caption(embeddings.scenes[i]) for i in kept]).T
    target = np.arange(len(kept))
    return ranks(similarity, target), ranks(similarity.T, target), similarity


def captions_of_clips(embeddings: Embeddings, captions: dict[str, tuple[str, ...]]) -> tuple[np.ndarray, np.ndarray]:
    """Ranks (0 is best) where a clip has several captions, all of them in the gallery, as LAION-CLAP scores Clotho.

    Args: embeddings of one-source scenes, captions of each clip. Returns: audio-to-text (n,), the rank of the best of a
    scene's own captions among those of other clips; text-to-audio, one rank per caption.
    """
    texts, owner = [], []
    for index, scene in enumerate(embeddings.scenes):
        (source,) = scene.sources
        texts += [caption_at([caption], [source.direction]) for caption in captions[source.clip]]
        owner += [index] * len(captions[source.clip])
    own = np.arange(len(embeddings.scenes))[:, None] == np.array(owner)
    similarity = embeddings.audio @ embeddings.text(texts).T
    best = np.where(own, similarity, -np.inf).max(axis=1, keepdims=True)
    a2t = (~(np.where(own, -np.inf, similarity) < best)).sum(axis=1)
    return a2t, ranks(similarity.T, np.array(owner))


def _candidates(embeddings: Embeddings, captions: list[list[str]]) -> np.ndarray:
    """Scores (n, k) of each scene's audio against its own k candidate captions."""
    text = embeddings.text([caption for row in captions for caption in row])
    return np.einsum("nd,nkd->nk", embeddings.audio, text.reshape(len(captions), len(captions[0]), -1))


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
    captions = [[caption_at([s.caption for s in scene.sources], o) for o in options] for scene in embeddings.scenes]
    truths = [tuple(source.direction for source in scene.sources) for scene in embeddings.scenes]
    scores = _candidates(embeddings, captions)
    confusion = np.zeros((len(DIRECTIONS), len(DIRECTIONS)), dtype=int)
    for row, truth in zip(scores, truths, strict=True):
        for true, chosen in zip(truth, options[int(row.argmax())], strict=True):
            confusion[DIRECTIONS.index(true), DIRECTIONS.index(chosen)] += 1
    return choose(scores, np.array([options.index(truth) for truth in truths])), confusion
