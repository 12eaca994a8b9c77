"""Words in which captions say places, beside the template's: some for training, others that scores alone have."""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from spclap.space.directions import DIRECTIONS
from spclap.space.wording import TEMPLATE, Wording, Words


def _each(*parts: tuple[str, ...]) -> tuple[str, ...]:
    """All phrases with one word of each part."""
    return tuple(" ".join(words) for words in product(*parts))


TRAINING = Words(
    places={
        "left": (
            *_each(
                ("on", "at", "from", "towards", "over on", "over to"),
                ("the left", "my left", "your left", "the left side", "my left side", "the left-hand side", "our left"),
            ),
            *_each(("far", "fully", "way", "hard"), ("left", "to the left", "over on the left")),
            "to the left", "to the left of the listener", "to the left of me", "left", "left of me",
            "by my left ear", "next to me on the left", "somewhere on the left", "somewhere to the left",
            "all the way to the left", "beside me to the left", "90 degrees to the left", "at nine o'clock",
        ),
        "front-left": (
            *_each(
                ("slightly", "a little", "somewhat", "half", "partly", "just"),
                ("to the left", "left of the middle", "left of centre", "to the left of ahead", "off to the left"),
            ),
            *_each(("in", "at", "from", "towards"), ("the front left", "the left front", "the front-left corner")),
            *_each(("ahead", "in front", "forward"), ("on the left", "on my left", "left", "a little left")),
            "front left", "half left", "half-left", "diagonally left", "diagonally to the left", "left of centre",
            "between left and front", "between left and straight ahead", "between the left and the middle",
            "ahead, slightly left", "30 degrees to the left", "40 degrees left",
        ),
        "front": (
            *_each(
                ("straight", "directly", "exactly", "right", "just"),
                ("ahead", "in front", "in front of you", "ahead of me", "ahead of us"),
            ),
            *_each(("in", "at", "from", "near"), ("the middle", "the centre", "the very middle", "the front")),
            "ahead", "ahead of me", "ahead of you", "in front of you", "in front of the listener", "centrally",
            "centred", "facing me", "neither left nor right", "in the middle of the scene", "at zero degrees",
            "before you", "at twelve o'clock", "between left and right",
        ),
    },
    clauses=(
        "{what} {place}", "{place}, {what}", "{place} {what}", "{what}, {place}", "there is a sound {place}: {what}",
        "{place}: {what}", "{place} there is this: {what}", "you can hear {what} {place}", "{what} ({place})",
        "{place} you can hear {what}", "a sound {place}, {what}", "{what}, and that is {place}",
    ),
    joints=(", and ", " and ", ", while ", "; ", ". ", ", ", " / ", " with ", ", plus ", ", and also ", " while "),
)  # fmt: skip
HELD_OUT = Words(
    places={
        "left": ("to my left", "off to the left", "on the left-hand", "at the far left", "somewhere left"),
        "front-left": (
            "a bit to the left", "in front to the left", "slightly left", "ahead and to the left", "at eleven o'clock",
        ),
        "front": ("right in front of me", "dead ahead", "in the center", "in front of us", "before me"),
    },
    clauses=("{place} {what}", "{place} I hear how {what}", "{what} - {place}", "the sound {place}: {what}"),
    joints=(" as ", ", and then ", ", whereas ", ", but "),
)  # fmt: skip
TO_ME = Wording(places=tuple(HELD_OUT.phrases(direction)[0] for direction in DIRECTIONS))  # to my left, ...
HOURS_AHEAD = Wording(places=tuple(f"at {hour} o'clock" for hour in ("nine", "eleven", "twelve", "one", "three")))


@dataclass(frozen=True)
class Phrasing:
    """`phrasing` of a training: how much of what it reads is said in other words.

    Args: reworded, share of captions that are not of the template; unplaced, share of sounds whose place is not said.
    """

    reworded: float = 0.0
    unplaced: float = 0.0

    def __post_init__(self):
        if not (0 <= self.reworded <= 1 and 0 <= self.unplaced <= 1):
            raise ValueError(f"reworded is {self.reworded} and unplaced {self.unplaced}; both must be within [0, 1]")

    def draw(self, rng: np.random.Generator, size: int) -> Wording:
        """For a caption of `size` sounds."""
        wording = TRAINING.draw(rng, size) if rng.random() < self.reworded else TEMPLATE
        unplaced = np.flatnonzero(rng.random(size) < self.unplaced)
        return replace(wording, unplaced=tuple(unplaced.tolist()))
