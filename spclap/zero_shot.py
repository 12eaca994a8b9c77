"""Captions of sounds at places, and what cosines with them say."""

from collections.abc import Sequence

import numpy as np
from scipy.special import softmax

from spclap.data.datadir import visible
from spclap.errors import DataError
from spclap.space.directions import DIRECTIONS
from spclap.space.wording import TEMPLATE


def labels_of(labels: Sequence[str]) -> list[str]:
    """Names of sounds as a list; DataError unless they are texts, each once."""
    if isinstance(labels, str):
        raise DataError(f"labels are `{labels}`; give a list of texts")
    labels = list(labels)
    for label in labels:
        if not isinstance(label, str) or not visible(label):
            raise DataError(f"label {label!r} is not a text; give words")
        if labels.count(label) > 1:
            raise DataError(f"label `{label}` stands {labels.count(label)} times; give each once")
    if not labels:
        raise DataError("no labels; give at least one")
    return labels


def require_direction(where: str | None) -> None:
    """DataError for a word that is none of DIRECTIONS."""
    if where is not None and where not in DIRECTIONS:
        raise DataError(f"where is {where!r}; give one of {', '.join(DIRECTIONS)}")


def placed(labels: Sequence[str], template: str = "{}") -> list[str]:
    """Captions of each label, in the words of `template`, at each of DIRECTIONS, label by label; a full stop goes,
    since the place is said behind. DataError for a template without {} or with several."""
    if not isinstance(template, str) or template.count("{}") != 1:
        raise DataError(f"hypothesis_template is {template!r}; it must have one {{}}, where a label stands")
    said = [template.replace("{}", label).rstrip(". ") for label in labels]
    return [TEMPLATE.caption([one], [direction]) for one in said for direction in DIRECTIONS]


def by_label(logits: np.ndarray, labels: Sequence[str], where: str | None = None) -> list[dict]:
    """(labels, directions) -> [{"score", "label", "where"}], the best first: probabilities over all, summed over
    directions, with the likeliest one; or those at the direction `where`."""
    if where is None:
        shares = softmax(logits.astype(float))
        scores, places = shares.sum(axis=1), [DIRECTIONS[best] for best in logits.argmax(axis=1)]
    else:
        scores, places = softmax(logits[:, DIRECTIONS.index(where)].astype(float)), [where] * len(labels)
    found = zip(scores.tolist(), labels, places, strict=True)
    rows = [{"score": score, "label": label, "where": place} for score, label, place in found]
    return sorted(rows, key=lambda row: -row["score"])


def by_place(cosines: np.ndarray, temperature: float) -> dict[str, float]:
    """(directions,) -> direction and its probability, which together are 1."""
    return dict(zip(DIRECTIONS, softmax(cosines.astype(float) / temperature).tolist(), strict=True))


def ranked(cosines: np.ndarray, captions: Sequence[str]) -> list[dict]:
    """(captions,) -> [{"score", "caption"}], the best first, equal ones as they came."""
    best = np.argsort(-cosines, kind="stable")
    return [{"score": float(cosines[row]), "caption": captions[row]} for row in best]
