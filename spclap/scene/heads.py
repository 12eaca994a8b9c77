"""Banks of measured responses: a head, alone or with a simulated tail, or a measured room."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.signal import fftconvolve

from spclap.errors import DataError
from spclap.scene.bank import save_bank
from spclap.space.array import SAMPLE_RATE
from spclap.space.directions import DIRECTIONS, direction_of, zone
from spclap.space.measured import Head

ANY_HEAD = "sphere:0.0875"


@dataclass(frozen=True)
class MeasuredConf:
    """A measured place of conf/places.yaml. Ranges are [low, high], drawn evenly."""

    path: str  # SOFA file, or folder of wavs with azimuths.csv
    way: str = ""  # what its metadata have wrong, see `read_head`
    rt60: list[float] | None = None  # s, of a simulated tail; none: as it was measured
    drr_db: list[float] = field(default_factory=lambda: [3.0, 9.0])  # dB, measured response over tail
    tail_delay: float = 0.005  # s, from the measured response's start to the tail's
    told: list[str] = field(default_factory=list)  # arrays that a model is told, beside the head's own

    def __post_init__(self):
        for name in ("rt60", "drr_db"):
            bounds = getattr(self, name)
            if bounds is not None and not (isinstance(bounds, list) and len(bounds) == 2 and bounds[0] <= bounds[1]):
                raise ValueError(f"{name} is {bounds}; it must be [low, high], in order")
        if not 0 < self.tail_delay < 0.1 or (self.rt60 is not None and self.rt60[0] <= 0):
            raise ValueError(f"tail_delay {self.tail_delay} must be within (0, 0.1) s and rt60 {self.rt60} above 0")


def diffuse_tail(head: Head, rt60: float, taps: int, rng: np.random.Generator) -> np.ndarray:
    """(2, taps) decaying noise from 24 measured directions at once, heard by both ears, so that the ears' coherence is
    that of a diffuse field."""
    decay = 10 ** (-3 * np.arange(taps) / (rt60 * SAMPLE_RATE))
    noise = rng.standard_normal((24, 1, taps)) * decay
    chosen = head.responses[rng.integers(len(head.responses), size=24)]
    return fftconvolve(noise, chosen, axes=-1)[..., :taps].sum(axis=0)


def write_head_bank(path: Path, head: Head, conf: MeasuredConf, rooms: int, taps: int, seed: list[int]) -> None:
    """A bank of `rooms` tails (or as many sets without), one response per direction in each, at ear height.

    Args: taps, length of a response; seed, with the room's number it draws directions and tail. DataError for a head
    without a response at elevation 0 in one of the directions.
    """
    level, azimuth = np.flatnonzero((np.abs(head.elevation) < 1) & (np.abs(head.azimuth) < 90.01)), head.azimuth
    azimuth, rirs, rows = azimuth.clip(-90, 90), [], []
    own = ANY_HEAD if head.in_room else ":".join(filter(None, ["head", conf.path, conf.way]))
    for index in range(rooms):
        rng = np.random.default_rng([*seed, index])
        rt60 = 0.0 if conf.rt60 is None else float(rng.uniform(*conf.rt60))
        for direction in DIRECTIONS:
            inside = [index for index in level if direction_of(azimuth[index]) == direction]
            if not inside:
                raise DataError(f"{conf.path}: no response at elevation 0 between {zone(direction)} degrees")
            chosen = int(rng.choice(inside))
            rirs.append(_response(head.responses[chosen], conf, rt60, head, taps, rng))
            row = {"room": f"head-{index:04d}", "setting": "measured", "array": own, "rt60": rt60}
            rows.append({**row, "azimuth": azimuth[chosen], "direction": direction})
    save_bank(path, np.stack(rirs), rows)


def _response(
    direct: np.ndarray, conf: MeasuredConf, rt60: float, head: Head, taps: int, rng: np.random.Generator
) -> np.ndarray:
    """(2, taps), with a tail if one is wanted."""
    response, direct = np.zeros((2, taps), dtype=np.float32), direct[:, :taps]
    response[:, : direct.shape[1]] = direct
    if conf.rt60 is not None:
        first = round(conf.tail_delay * SAMPLE_RATE)
        tail = diffuse_tail(head, rt60, taps - first, rng)
        gain = np.sqrt(np.square(direct).sum() / np.square(tail).sum() / 10 ** (rng.uniform(*conf.drr_db) / 10))
        response[:, first:] += (gain * tail).astype(np.float32)
    return response
