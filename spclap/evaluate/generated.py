"""Scores of stereo that was generated from prompts: does each recording sound like its own prompt, and where?

The cosine of a recording and its prompt is what others call CLAP score (after CLIPScore, Hessel et al. 2021). Alone it
says little: captions of one style are close to each other, so any prompt may score high. It is given beside controls.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spclap.errors import DataError
from spclap.evaluate.intervals import Clusters, Interval, shown
from spclap.evaluate.metrics import of_unit

SAME = 1e-6  # of 1 - cosine: prompts that are one, encoded in batches of other lengths


@dataclass(frozen=True)
class ControlScore:
    """What is scored in place of recordings with their prompts.

    scores: (n,), cosines; mean: of them; difference: the true score minus this, paired; above: percent of items whose
    true score is higher than this (a tie is not), 50 where a control is as good. All but scores with 95% intervals.
    """

    scores: np.ndarray
    mean: Interval
    difference: Interval
    above: Interval


@dataclass(frozen=True)
class SpatialClapScore:
    """Cosines of recordings with their prompts, and what they are worth.

    scores: (n,), in [-1, 1]; mean: of them; recall_at_1: percent of recordings whose own prompt scores higher than any
    other prompt, by chance 100 over the number of prompts; both with 95% intervals (value, low, high); controls by
    name; warnings: where the score is not above a control beyond chance.
    """

    scores: np.ndarray
    mean: Interval
    recall_at_1: Interval
    controls: dict[str, ControlScore]
    warnings: tuple[str, ...]


def spatial_clap_score(
    audio: np.ndarray, prompts: np.ndarray, groups: Sequence[str | Sequence[str]] | None = None,
    exchanged: np.ndarray | None = None, mono: np.ndarray | None = None,
) -> SpatialClapScore:  # fmt: skip
    """How well recordings fit the prompts that they were generated from, with controls that tell what that is worth.

    Controls: `other_prompts`, each recording with all prompts but its own, the mean of them, which is what random
    exchanges of prompts come to; `exchanged` and `mono`, where their vectors are given, with the true prompts. A model
    that hears no place has equal scores there, and so have prompts that name no place, or none but the front.

    Args:
        audio: (n, D) of recordings, such as of `SpatialCLAP.embed_audio`, of any length but zero.
        prompts: (n, D) of their prompts, such as of `SpatialCLAP.embed_text`.
        groups: what each was made of, such as its prompt where each prompt has several recordings, or the generator's
            seed: items that share a name hang together in intervals (see `Clusters`). None: all are independent.
        exchanged: (n, D) of the same recordings with left and right exchanged.
        mono: (n, D) of the same recordings with the mean of the channels on both.

    DataError for vectors of other shapes, zero or not finite, groups of another number, and fewer than two prompts.
    """
    said = _unit(prompts, "prompt")
    heard, clusters = _unit(audio, "audio", said.shape), _clusters(groups, len(said))
    scores = (heard * said).sum(axis=1)
    others, of_prompts, best = _others(heard, said)
    # A prompt that scores high with any recording does so with its own, and in the controls of all the others.
    controls = {"other_prompts": _control(clusters, scores, others, of_prompts - of_prompts.mean())}
    for name, vectors in (("exchanged", exchanged), ("mono", mono)):
        if vectors is not None:
            controls[name] = _control(clusters, scores, (_unit(vectors, name, said.shape) * said).sum(axis=1))
    mean, recall = clusters.mean(scores), clusters.mean(100.0 * (scores > best), 100)
    return SpatialClapScore(scores, mean, recall, controls, _warnings(mean, controls))


def _unit(vectors: np.ndarray, what: str, shape: tuple[int, int] | None = None) -> np.ndarray:
    """(n, D) of unit length, float64."""
    try:
        vectors = np.asarray(vectors, dtype=float)
    except (TypeError, ValueError) as error:
        raise DataError(f"{what} vectors are no array of numbers (n, D): {error}") from error
    if vectors.ndim != 2 or not vectors.size or vectors.shape != (shape or vectors.shape):
        raise DataError(f"{what} vectors are of shape {vectors.shape}, expected {shape or '(n, D)'}")
    return of_unit(vectors, len(vectors), what)


def _clusters(groups: Sequence[str | Sequence[str]] | None, count: int) -> Clusters:
    if groups is None:
        return Clusters([(str(row),) for row in range(count)])
    if len(groups) != count:
        raise DataError(f"groups name what {len(groups)} were made of, there are {count} recordings")
    named = [(own,) if isinstance(own, str) else tuple(own) for own in groups]
    if not all(named):
        raise DataError(f"groups name nothing of item {named.index(())}; give each a name of its own where they differ")
    return Clusters(named)


def _others(heard: np.ndarray, said: np.ndarray, at_once: int = 256) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means of cosines of each recording with the prompts that are not its own, and of each prompt with the recordings
    that are not of it; and the highest of the former. Each (n,)."""
    count = len(said)
    own, of_prompts, best = np.empty(count), np.zeros(count), np.empty(count)
    number = np.zeros(count)
    for first in range(0, count, at_once):
        rows = slice(first, first + at_once)
        other = said[rows] @ said.T < 1 - SAME
        if not other.any(axis=1).all():
            raise DataError(f"all {count} prompts are one; scores are worth something beside those of other prompts")
        cosines = np.where(other, heard[rows] @ said.T, 0)
        own[rows] = cosines.sum(axis=1) / other.sum(axis=1)
        best[rows] = np.where(other, cosines, -np.inf).max(axis=1)
        of_prompts += cosines.sum(axis=0)
        number += other.sum(axis=0)
    return own, of_prompts / number, best


def _control(clusters: Clusters, scores: np.ndarray, control: np.ndarray, shared: np.ndarray | float = 0.0):
    """shared, (n,) of mean 0: what an item adds to the controls of others."""
    difference = clusters.mean(scores - control - shared)
    return ControlScore(control, clusters.mean(control), difference, clusters.mean(100.0 * (scores > control), 100))


def _warnings(mean: Interval, controls: dict[str, ControlScore]) -> tuple[str, ...]:
    return tuple(
        f"the score, {shown(*mean, 3)}, is not above {name}, {shown(*control.mean, 3)}: difference "
        f"{shown(*control.difference, 3)}"
        for name, control in controls.items()
        if not control.difference[1] > 0
    )
