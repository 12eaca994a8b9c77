"""What a caption puts where, and two scores for it.

The paper reports "spatial description accuracy" and "DW-SBERT" (Table 2), which no source of ours defines; the
definitions here are our own. `DEFINITIONS` states them in words, and every table that shows the figures prints them.
"""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise, permutations

import numpy as np

from spclap.space.directions import DIRECTIONS

DEFINITIONS = {
    "spatial_accuracy": "as many sounds as the scene has, matched to its sources by the similarity of what they are, "
    "and every one put where its source is; a tie between matches counts as wrong; of several captions of a clip the "
    "most similar counts",
    "dw_sbert": "mean over the directions that scene or caption names of the SBERT cosine between what each puts "
    "there; 0 where only one of them puts something; of several captions of a clip the most similar counts",
}
_OWNER = r"(?:(?:the|your|my|our|its|the\slistener's)\s)?"
_PLACE = re.compile(
    rf"""\b(?:
        (?:on|to|at|in|from|towards?|by)\s{_OWNER}(?:far\s)?
            (?P<before>(?:front|cent(?:er|re))[-\s])?(?P<side>left|right)(?P<after>[-\s]front)?
            (?:[-\s]hand)?(?:\sside)?(?:\sof\s(?:you|me|us|the\slistener))?(?!\s(?:away|now|after|before|behind|next)\b)
        | (?:in|at|from|to|towards?)\s{_OWNER}front(?:\sof\s(?:you|me|us|the\slistener)|(?!\sof\b))
        | (?:straight\s)?ahead(?!\sof\b) | (?:in|at|from)\sthe\s(?:middle|cent(?:er|re))(?!\sof\b)
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
_MARK, _WORD = r"[,.;\u2013\u2014]", r"(?:and|while|as|then|with|but)\b"
_JOINT = re.compile(rf"\s*(?:{_MARK}\s*(?:{_WORD})?|\b{_WORD})", re.IGNORECASE)  # between two sounds
_STRONG = re.compile(rf"\s*{_MARK}\s*(?:{_WORD})?", re.IGNORECASE)
_CLAUSE = re.compile(rf"(?:^|{_MARK}|\b{_WORD})\s*$", re.IGNORECASE)  # what follows begins a clause
_ENDS = re.compile(rf"^(?:\s|:|{_MARK}|{_WORD})+|(?:\s|:|{_MARK}|\b(?:and|while)\b)+$", re.IGNORECASE)


def _direction(place: re.Match) -> str:
    if not place["side"]:
        return "front"
    return f"front-{place['side'].lower()}" if place["before"] or place["after"] else place["side"].lower()


def _places(caption: str) -> list[re.Match]:
    """Places of sounds. One with no joint between it and the next is part of a description ("in the front yard")."""
    found = list(_PLACE.finditer(caption))
    kept = [one for one, after in pairwise(found) if _JOINT.search(caption[one.end() : after.start()])]
    return kept + found[-1:]


def _shared(text: str, leads: bool, next_leads: bool) -> tuple[str, str]:
    """Words between two places -> those of the first one's sound and those of the second one's."""
    if next_leads:
        return text, ""
    if leads:  # "on the left a dog, and rain in front"
        joint = _STRONG.search(text) or _JOINT.search(text)
        return text[: joint.start()], text[joint.end() :]
    if _JOINT.match(text):
        return "", text
    joint = _JOINT.search(text)  # "a dog on the left barking loudly, and rain in front"
    return text[: joint.start()], text[joint.end() :]


def parse(caption: str) -> list[tuple[str, str]]:
    """Caption -> (what, direction) in order of places; `what` is empty for a place of no sound.

    A place may follow its sound ("a dog on the left side, and rain in front") or lead ("on the left side a dog, in
    front rain"). It leads where a clause begins with it. "rain and wind in front" is one sound; words without a place
    are left out.
    """
    caption = " ".join(caption.split())
    places = _places(caption)
    edges = [0, *(edge for place in places for edge in place.span()), len(caption)]
    texts = [caption[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)]
    leads = [
        bool(_CLAUSE.search(before)) and bool(_ENDS.sub("", after)) and not _JOINT.match(after)
        for before, after in pairwise(texts)
    ]
    sounds = [["", ""] for _ in places]  # what of each sound stands before its place, and after
    if places and not leads[0]:
        sounds[0][0] = texts[0]
    for i, text in enumerate(texts[1:-1]):
        sounds[i][1], sounds[i + 1][0] = _shared(text, leads[i], leads[i + 1])
    if places and not _JOINT.match(texts[-1]):
        sounds[-1][1] = texts[-1]
    whats = (" ".join(filter(None, (_ENDS.sub("", part) for part in sound))) for sound in sounds)
    return list(zip(whats, map(_direction, places), strict=True))


Similarity = Callable[[Sequence[str], Sequence[str]], np.ndarray]  # texts (n), texts (m) -> cosines (n, m)
Source = tuple[Sequence[str], str]  # captions of a sound, each as good as another, and its direction


def spatial_accuracy(sources: Sequence[Source], caption: str, similarity: Similarity) -> bool:
    """Whether a caption puts every source where it is (`DEFINITIONS`)."""
    said = parse(caption)
    if len(said) != len(sources) or not all(what for what, _ in said):
        return False
    whats = [what for what, _ in said]
    cosines = np.stack([similarity(captions, whats).max(axis=0) for captions, _ in sources])
    best = {True: -np.inf, False: -np.inf}  # cosine of the best match with every direction right, and of any other
    for order in permutations(range(len(said))):
        right = all(said[i][1] == where for i, (_, where) in zip(order, sources, strict=True))
        best[right] = max(best[right], cosines[range(len(said)), order].sum())
    return bool(best[True] > best[False])


def dw_sbert(sources: Sequence[Source], caption: str, similarity: Similarity) -> float:
    """Direction-wise SBERT of a caption (`DEFINITIONS`); of several captions of a source the best counts."""
    count = max(len(captions) for captions, _ in sources)
    steps = ([(captions[min(i, len(captions) - 1)], where) for captions, where in sources] for i in range(count))
    references, said = [_by_direction(step) for step in steps], _by_direction(parse(caption))
    scores = []
    for where in DIRECTIONS:
        wanted = list(dict.fromkeys(reference[where] for reference in references if where in reference))
        if wanted or where in said:
            both = wanted and said.get(where)
            scores.append(float(similarity(wanted, [said[where]]).max()) if both else 0.0)
    return float(np.mean(scores))


def _by_direction(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Direction -> all that is there."""
    found: dict[str, list[str]] = {}
    for what, where in pairs:
        found.setdefault(where, []).append(what)
    return {where: " and ".join(filter(None, whats)) for where, whats in found.items()}
