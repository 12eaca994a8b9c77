"""How captions say what is where: in the words of the paper's template, or in others."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spclap.space.directions import DIRECTIONS, PHRASES, direction_of

HOURS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
AHEAD = {hour: 30 * hour if hour < 4 else 30 * (hour - 12) for hour in (9, 10, 11, 12, 1, 2, 3)}  # degrees
CLOCK = re.compile(rf"\b(at|from|around)\s+({'|'.join(HOURS)}|1[0-2]|[1-9])\s+o['’ ]?clock\b", re.IGNORECASE)


@dataclass(frozen=True)
class Wording:
    """How a caption says its clauses.

    Args: places, a phrase for each of DIRECTIONS; clause, with {what} and {place}; joint, before the last clause; order
    in which the sounds are said, as they come if empty; unplaced, sounds whose place is not said; sentence, whether it
    begins with a capital and ends with a full stop.
    """

    places: tuple[str, ...] = tuple(PHRASES[direction] for direction in DIRECTIONS)
    clause: str = "{what} {place}"
    joint: str = ", and "
    order: tuple[int, ...] = ()
    unplaced: tuple[int, ...] = ()
    sentence: bool = False

    def caption(self, contents: Sequence[str], directions: Sequence[str]) -> str:
        """Caption of `contents[k]` heard from `directions[k]`."""
        clauses = [
            contents[k]
            if k in self.unplaced
            else self.clause.format(what=contents[k], place=self.places[DIRECTIONS.index(directions[k])])
            for k in self.order or range(len(contents))
        ]
        said = self.joint.join([*filter(None, [", ".join(clauses[:-1])]), clauses[-1]])
        return f"{said[0].upper()}{said[1:]}." if self.sentence else said


TEMPLATE = Wording()


@dataclass(frozen=True)
class Words:
    """What a caption may be made of: `places`, direction -> phrases, of left, front-left and front (the others are
    their mirror images); `clauses` with {what} and {place}; `joints` of clauses."""

    places: dict[str, tuple[str, ...]]
    clauses: tuple[str, ...]
    joints: tuple[str, ...]

    def phrases(self, direction: str) -> tuple[str, ...]:
        """All that say a direction."""
        if direction in self.places:
            return self.places[direction]
        return tuple(map(mirrored, self.places[DIRECTIONS[-1 - DIRECTIONS.index(direction)]]))

    def draw(self, rng: np.random.Generator, size: int) -> Wording:
        """For a caption of `size` sounds; a wording has one phrase for a direction."""
        places = (self.phrases(direction) for direction in DIRECTIONS)
        return Wording(
            places=tuple(phrases[rng.integers(len(phrases))] for phrases in places),
            clause=self.clauses[rng.integers(len(self.clauses))],
            joint=self.joints[rng.integers(len(self.joints))],
            order=tuple(rng.permutation(size).tolist()),
            sentence=bool(rng.random() < 0.5),
        )


def mirrored(phrase: str) -> str:
    """The phrase for the mirror image of a place: left and right exchanged, eleven o'clock for one."""
    sides = {"left": "right", "right": "left"}
    turned = CLOCK.sub(lambda found: f"{found[1]} {HOURS[-1 - hour_of(found[2]) % 12]} o'clock", phrase)
    return re.sub(r"\b(left|right)\b", lambda found: sides[found[0]], turned)


def hour_of(words: str) -> int:
    """1 to 12, of a word or digits."""
    return int(words) if words.isdigit() else HOURS.index(words.lower()) + 1


def without_hours(text: str) -> str:
    """Hours of a clock face ahead (nine to three) in the template's words: a rule, so nothing that is to be learned.
    Those behind stay as they are."""

    def said(found: re.Match) -> str:
        azimuth = AHEAD.get(hour_of(found[2]))
        return found[0] if azimuth is None else PHRASES[direction_of(azimuth)]

    return CLOCK.sub(said, text)
