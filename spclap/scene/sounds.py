"""How scenes sound: `sounds` of conf/simu.yaml."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from spclap.scene.recorder import Recorder

DRAWN = tuple(field.name for field in dataclasses.fields(Recorder) if field.name != "seed")


@dataclass(frozen=True)
class SoundConf:
    """A setting of `sounds`. Ranges are [low, high], drawn uniformly.

    Args: level_db, dB, each source is drawn from +- this; share, of the scene in which a source sounds, once, or None:
    all sound all the time; recurring, share of the scenes whose sources may be of one kind, if of different labels;
    recorder, ranges of what a `Recorder` has but its seed, or None: there is none.
    """

    level_db: float
    share: list[float] | None = None
    recurring: float = 0.0
    recorder: dict[str, list[float]] | None = None

    def __post_init__(self):
        ranges = {"share": self.share} if self.share is not None else {}
        if self.recorder is not None:
            if unknown := sorted(set(self.recorder) - set(DRAWN)):
                raise ValueError(f"recorder has {unknown[0]}; it can have {', '.join(DRAWN)}")
            ranges |= {f"recorder: {name}": bounds for name, bounds in self.recorder.items()}
        for name, bounds in ranges.items():
            if not (isinstance(bounds, list) and len(bounds) == 2 and bounds[0] <= bounds[1]):
                raise ValueError(f"{name} is {bounds}; it must be [low, high], in order")
        if self.share is not None and not 0 < self.share[0] <= self.share[1] <= 1:
            raise ValueError(f"share is {self.share}; it must be within (0, 1]")
        for name in {"hum_hz", "highpass_hz"}.intersection(self.recorder or ()):
            if not self.recorder[name][0] > 0:
                raise ValueError(f"recorder: {name} is {self.recorder[name]}; it must be above 0")
        if not (self.level_db >= 0 and 0 <= self.recurring <= 1):
            raise ValueError(f"level_db {self.level_db} must not be negative, recurring {self.recurring} within [0, 1]")

    def draw_source(self, rng: np.random.Generator) -> dict[str, float]:
        """What a `Source` has of it."""
        drawn = {"start": float(rng.random()), "gain_db": float(rng.uniform(-self.level_db, self.level_db))}
        if self.share is None:
            return drawn
        return {**drawn, "share": float(rng.uniform(*self.share)), "onset": float(rng.random())}

    def draw_recorder(self, rng: np.random.Generator) -> Recorder | None:
        if self.recorder is None:
            return None
        drawn = {name: float(rng.uniform(*self.recorder[name])) for name in DRAWN if name in self.recorder}
        return Recorder(**drawn, seed=int(rng.integers(2**31)))
