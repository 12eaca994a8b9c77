"""Words in which captions say places, beside the template's: some for training, others that scores alone have."""

from dataclasses import dataclass, replace

import numpy as np

from spclap.space.wording import TEMPLATE, Wording, Words

TRAINING = Words(
    places={
        "left": (
            "on the left", "to the left", "on my left", "on the left-hand side", "from the left", "far left",
            "all the way to the left", "at the left side", "over to the left", "left", "at nine o'clock",
            "left of the listener",
        ),
        "front-left": (
            "slightly to the left", "front left", "at the front left", "ahead on the left", "between left and ahead",
            "a little left of the middle", "half left", "from the front left", "diagonally left", "left of centre",
            "towards the left in front", "in the left front",
        ),
        "front": (
            "straight ahead", "ahead", "in the middle", "in the centre", "from the front", "directly in front of me",
            "at the front", "in front of the listener", "centrally", "at twelve o'clock", "right ahead",
        ),
    },
    clauses=(
        "{what} {place}", "{place}, {what}", "{place} {what}", "{what}, {place}", "there is a sound {place}: {what}",
        "{place}: {what}",
    ),
    joints=(", and ", " and ", ", while ", "; ", ". ", ", "),
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
