"""What a caption puts where, and two scores for it.

The paper reports "spatial description accuracy" and "DW-SBERT" (Table 2), which no source of ours defines; the
definitions here are our own. `DEFINITIONS` states them in words, and every table that shows the figures prints them.
"""

import re
from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from spclap.scene.directions import DIRECTIONS

DEFINITIONS = {
    "spatial_accuracy": "as many sounds as the scene has, matched to its sources by the similarity of what they are, "
    "and every one put where its source is",
    "dw_sbert": "mean over the directions that reference or caption names of the SBERT cosine between what each puts "
    "there; 0 where only one of them puts something",
}
_PLACE = re.compile(
    r"""\b(?:
        (?:on|to|at|in|from)\s(?:the\s|your\s)?(?P<before>front[-\s])?(?P<side>left|right)(?P<after>[-\s]front)?(?:\sside)?
        | (?:in|at|from)\s(?:the\s)?front(?!\sof\b) | (?:straight\s)?ahead | in\sthe\s(?:middle|cent(?:er|re))
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
_JOINT = re.compile(r"^(?:[\s,.;]|(?:and|while|as|then|with)\b)+|(?:[\s,.;]|\b(?:and|while))+$", re.IGNORECASE)


def _direction(place: re.Match) -> str:
    if not place["side"]:
        return "front"
    return f"front-{place['side'].lower()}" if place["before"] or place["after"] else place["side"].lower()


def parse(caption: str) -> list[tuple[str, str]]:
    """Caption -> (what, direction) in order of mention, without places of no sound and sounds of no place.

    The place may follow its sound ("a dog on the left side, and rain in front") or lead ("on the left side a dog, in
    front rain"). What stands between two places belongs to one sound, so "rain and wind in front" is one.
    """
    places = list(_PLACE.finditer(caption))
    if not places:
        return []
    edges = [0, *(edge for place in places for edge in place.span()), len(caption)]
    between = [_JOINT.sub("", caption[a:b]).strip() for a, b in zip(edges[::2], edges[1::2], strict=True)]
    sounds = between[:-1] if between[0] else between[1:]
    pairs = zip(sounds, map(_direction, places), strict=True)
    return [(what, where) for what, where in pairs if what]


Similarity = Callable[[Sequence[str], Sequence[str]], np.ndarray]  # texts (n), texts (m) -> cosines (n, m)


def spatial_accuracy(sources: Sequence[tuple[str, str]], caption: str, similarity: Similarity) -> bool:
    """Whether a caption puts every source where it is (`DEFINITIONS`); `sources` are (what, direction)."""
    said = parse(caption)
    if len(said) != len(sources):
        return False
    cosines = similarity([what for what, _ in sources], [what for what, _ in said])
    rows, columns = linear_sum_assignment(-cosines)
    return all(sources[row][1] == said[column][1] for row, column in zip(rows, columns, strict=True))


def dw_sbert(sources: Sequence[tuple[str, str]], caption: str, similarity: Similarity) -> float:
    """Direction-wise SBERT of a caption (`DEFINITIONS`)."""
    wanted, said = _by_direction(sources), _by_direction(parse(caption))
    scores = [
        float(similarity([wanted[d]], [said[d]])[0, 0]) if d in wanted and d in said else 0.0
        for d in DIRECTIONS
        if d in wanted or d in said
    ]
    return float(np.mean(scores))


def _by_direction(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Direction -> all that is there."""
    found: dict[str, list[str]] = {}
    for what, where in pairs:
        found.setdefault(where, []).append(what)
    return {where: " and ".join(whats) for where, whats in found.items()}
