"""Measured responses: what two ears or microphones heard from where, checked by the sound itself."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soxr

from spclap.errors import DataError

SIDE, AROUND = 45.0, 20.0  # degrees off ahead at which a side is checked, and how far about


@dataclass(frozen=True)
class Head:
    """Responses (n, 2, taps), left one first, from azimuths (n,) (negative left, -180 to 180) and elevations (n,) in
    degrees; `in_room`, whether walls are in them too."""

    responses: np.ndarray
    azimuth: np.ndarray
    elevation: np.ndarray
    in_room: bool = False

    @property
    def toward(self) -> np.ndarray:
        """(n, 3) unit vectors ahead, to the right and up."""
        return unit_vectors(self.azimuth, self.elevation)

    def mirrored(self) -> "Head":
        return replace(self, responses=self.responses[:, ::-1], azimuth=-self.azimuth)


def unit_vectors(azimuth: np.ndarray, elevation: np.ndarray) -> np.ndarray:
    """Degrees (n,) twice -> (n, 3) ahead, to the right, up."""
    azimuth, elevation = np.deg2rad(azimuth), np.deg2rad(elevation)
    return np.stack([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], 1)


def resampled(responses: np.ndarray, rate: float, sample_rate: int) -> np.ndarray:
    """(n, 2, taps), all channels together."""
    flat = soxr.resample(responses.reshape(-1, responses.shape[-1]).T.astype(np.float32), rate, sample_rate).T
    return np.ascontiguousarray(flat).reshape(*responses.shape[:2], -1)


def check_sides(path: Path, head: Head, ways_out: str) -> None:
    """DataError unless sounds from about 45 degrees to a side are louder and earlier in the channel of that side.

    A channel is earlier where the cross-correlation of the first 4 ms about the onset peaks at a positive lag.
    """
    for side, sign in (("left", -1), ("right", 1)):
        chosen = (np.abs(head.azimuth * sign - SIDE) <= AROUND) & (np.abs(head.elevation) < 15)
        if not chosen.any():
            raise DataError(f"{path}: no response around {SIDE * sign:g} degrees, so nothing tells left from right")
        far, near = np.moveaxis(_onsets(head.responses[chosen])[:, ::sign], 1, 0)  # channel 1 is near at the right
        louder = 10 * np.log10((np.square(near).sum(1) + 1e-12) / (np.square(far).sum(1) + 1e-12))
        lags = [np.correlate(b, a, "full").argmax() - (len(a) - 1) for a, b in zip(near, far, strict=True)]
        level, delay = float(np.median(louder)), float(np.median(lags))
        if not (level > 0 and delay > 0):
            raise DataError(
                f"{path}: at 45 degrees to the {side} the {side} channel is {level:+.1f} dB louder and {delay:+.0f} "
                f"samples earlier, both must be above 0; {ways_out}"
            )


def _onsets(responses: np.ndarray) -> np.ndarray:
    """(n, 2, taps) -> (n, 2, samples) from a little before the first sound of either channel, without the room."""
    length = min(responses.shape[-1], 64)
    strong = np.abs(responses).max(axis=1) > 0.1 * np.abs(responses).max(axis=(1, 2), keepdims=True)[:, 0]
    first = np.clip(strong.argmax(axis=1) - 16, 0, responses.shape[-1] - length)
    return np.stack([response[:, at : at + length] for response, at in zip(responses, first, strict=True)])
