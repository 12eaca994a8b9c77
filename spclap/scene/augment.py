"""Variation of training scenes that leaves the difference between the channels what physics makes it: the dry clips
change before they are spatialized, and a mirrored scene is that of the mirrored room."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from spclap.scene.scene import Scene, Source
from spclap.space.directions import DIRECTIONS

EQ_OCTAVES = 7  # an equalisation has a gain at half the sample rate and at each of six octaves below


@dataclass(frozen=True)
class Augmentation:
    """`augment` of a training config; the defaults change nothing."""

    speed: tuple[float, float] = (1.0, 1.0)  # factor on the speed of a dry clip, drawn evenly in its logarithm
    eq_db: float = 0.0  # dB, gain of each octave of a dry clip is drawn from +- this
    level_db: float = 0.0  # dB, added to the level of a source, drawn from +- this
    mirror: float = 0.0  # share of scenes whose left and right are exchanged, channels and words alike

    def __post_init__(self):
        if not (len(self.speed) == 2 and 0.5 <= self.speed[0] <= self.speed[1] <= 2):
            raise ValueError(f"speed is {self.speed}; it must be [low, high], within [0.5, 2] and in order")
        if min(self.eq_db, self.level_db) < 0 or not 0 <= self.mirror <= 1:
            raise ValueError(f"eq_db {self.eq_db} and level_db {self.level_db} must not be negative, mirror in [0, 1]")

    def draw(self, scene: Scene, rng: np.random.Generator) -> Scene:
        """A variant of a scene."""
        mirrored = bool(rng.random() < self.mirror)
        sources = tuple(self._source(source, mirrored, rng) for source in scene.sources)
        return replace(scene, sources=sources, mirrored=mirrored)

    def _source(self, source: Source, mirrored: bool, rng: np.random.Generator) -> Source:
        changes = {
            "speed": float(np.exp(rng.uniform(*np.log(self.speed)))),
            "gain_db": source.gain_db + float(rng.uniform(-self.level_db, self.level_db)),
        }
        if self.eq_db:
            changes["eq_db"] = tuple(rng.uniform(-self.eq_db, self.eq_db, EQ_OCTAVES).tolist())
        if mirrored:
            direction = DIRECTIONS[-1 - DIRECTIONS.index(source.direction)]
            changes.update(direction=direction, azimuth=-source.azimuth)
        return replace(source, **changes)


def equalise(window: np.ndarray, gains_db: Sequence[float]) -> np.ndarray:
    """(T,) with gains in dB at 1/128, 1/64, ... 1/2 of the sample rate, interpolated over log frequency."""
    octaves = 2.0 ** np.arange(-len(gains_db), 0)
    frequency = np.fft.rfftfreq(len(window)).clip(1e-9)
    gain = 10 ** (np.interp(np.log(frequency), np.log(octaves), gains_db) / 20)
    return np.fft.irfft(np.fft.rfft(window) * gain, len(window)).astype(np.float32)
