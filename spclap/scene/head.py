"""Impulse responses of a measured head, anechoic or with a simulated tail, as a bank like that of simulated rooms."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from scipy.signal import correlate, fftconvolve

from spclap.errors import DataError
from spclap.scene.directions import DIRECTIONS, zone
from spclap.scene.rooms import save_bank


@dataclass(frozen=True)
class HeadConf:
    """A condition of conf/generalize.yaml. Ranges are [low, high], drawn evenly."""

    rt60: tuple[float, float] | None = None  # s, of the tail; none: anechoic
    drr_db: tuple[float, float] = (3.0, 9.0)  # dB, energy of the measured response over that of the tail
    tail_delay: float = 0.005  # s, from the measured response's start to the tail's

    def __post_init__(self):
        for name in ("rt60", "drr_db"):
            bounds = getattr(self, name)
            if bounds is not None and not (
                isinstance(bounds, list | tuple) and len(bounds) == 2 and bounds[0] <= bounds[1]
            ):
                raise ValueError(f"{name} is {bounds}; it must be [low, high], in order")
        if not 0 < self.tail_delay < 0.1 or (self.rt60 is not None and self.rt60[0] <= 0):
            raise ValueError(f"tail_delay {self.tail_delay} must be within (0, 0.1) s and rt60 {self.rt60} above 0")


@dataclass(frozen=True)
class Head:
    """Measured responses (n, 2, taps), left ear first, with azimuth (ours: negative left) and elevation in degrees."""

    responses: np.ndarray
    azimuth: np.ndarray
    elevation: np.ndarray


def read_head(path: Path, sample_rate: int) -> Head:
    """Read a SOFA file (AES69, SimpleFreeFieldHRIR), resampled to `sample_rate` Hz; both ears together.

    DataError without the package sofar and for a file that cannot be read, has another convention, delays, positions
    that are not spherical, a listener who does not look ahead from the middle, or other receivers than two, the left
    ear first; and for responses that do not come from where the file says.
    """
    try:
        import sofar
    except ImportError:
        raise DataError(f"{path}: reading SOFA files needs the package sofar; run `pip install -e .[sofa]`") from None
    try:
        sofa = sofar.read_sofa(str(path), verify=False, verbose=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not readable as SOFA: {error}; see README.md for where to get one") from error
    if sofa.GLOBAL_SOFAConventions != "SimpleFreeFieldHRIR":
        raise DataError(f"{path}: convention {sofa.GLOBAL_SOFAConventions}, expected SimpleFreeFieldHRIR")
    ears = np.squeeze(sofa.ReceiverPosition)
    if ears.shape != (2, 3) or sofa.ReceiverPosition_Type != "cartesian" or ears[0, 1] <= ears[1, 1]:
        raise DataError(
            f"{path}: receivers at {ears.tolist()}; there must be two, the left ear first, in metres, y to the left"
        )
    _check_listener(path, sofa)
    if sofa.SourcePosition_Type != "spherical" or np.any(sofa.Data_Delay):
        raise DataError(f"{path}: positions must be spherical and delays zero; convert the file")
    rate = float(np.squeeze(sofa.Data_SamplingRate))
    measured = np.asarray(sofa.Data_IR, dtype=np.float32)  # (n, 2, taps)
    flat = soxr.resample(measured.reshape(-1, measured.shape[-1]).T, rate, sample_rate).T
    counterclockwise, elevation = np.asarray(sofa.SourcePosition, dtype=float)[:, :2].T
    azimuth = -((counterclockwise + 180) % 360 - 180)
    head = Head(flat.reshape(*measured.shape[:2], -1), azimuth, elevation)
    _check_sides(path, head)
    return head


def _check_listener(path: Path, sofa) -> None:
    """DataError unless the listener is at the origin, looks along x and has z above, as azimuths are taken here."""
    for name, said_by, expected in (
        ("Position", "Position", (0, 0, 0)),
        ("View", "View", (1, 0, 0)),
        ("Up", "View", (0, 0, 1)),
    ):
        polar = getattr(sofa, f"Listener{said_by}_Type", "cartesian") == "spherical"
        value = np.atleast_2d(np.asarray(getattr(sofa, f"Listener{name}"), dtype=float))
        found = _cartesian(value) if polar else value
        if not np.allclose(found, expected, atol=0.01):
            raise DataError(f"{path}: Listener{name} is {value[0].tolist()}, expected {expected}; turn its positions")


def _cartesian(positions: np.ndarray) -> np.ndarray:
    """(n, 3) azimuth and elevation in degrees and radius -> (n, 3) x, y, z."""
    azimuth, elevation, radius = positions.T * np.array([[np.pi / 180], [np.pi / 180], [1]])
    across = radius * np.cos(elevation)
    return np.stack([across * np.cos(azimuth), across * np.sin(azimuth), radius * np.sin(elevation)], axis=1)


def _check_sides(path: Path, head: Head) -> None:
    """DataError unless sounds from about 45 degrees to a side are louder and earlier in the ear of that side."""
    for side, sign in (("left", -1), ("right", 1)):
        chosen = (np.abs(head.azimuth * sign - 45) <= 20) & (np.abs(head.elevation) < 15)
        if not chosen.any():
            raise DataError(f"{path}: no response around {45 * sign} degrees, so nothing tells which ear is which")
        near, far = np.moveaxis(head.responses[chosen][:, ::sign], 1, 0)[::-1]  # channel 1 is near at the right
        louder = 10 * np.log10(np.square(near).sum(1) / np.square(far).sum(1))
        lags = [correlate(b, a).argmax() - (len(a) - 1) for a, b in zip(near, far, strict=True)]
        level, delay = float(np.median(louder)), float(np.median(lags))
        if not (level > 0 and delay > 0):
            raise DataError(
                f"{path}: at 45 degrees to the {side} that ear is {level:+.1f} dB louder and {delay:+.0f} samples "
                f"earlier, both must be above 0: azimuths mirrored or ears exchanged? Correct the file or leave it out"
            )


def diffuse_tail(head: Head, rt60: float, sample_rate: int, taps: int, rng: np.random.Generator) -> np.ndarray:
    """(2, taps) decaying noise from 24 measured directions at once, heard by both ears, so that the ears' coherence is
    that of a diffuse field."""
    decay = 10 ** (-3 * np.arange(taps) / (rt60 * sample_rate))
    noise = rng.standard_normal((24, 1, taps)) * decay
    chosen = head.responses[rng.integers(len(head.responses), size=24)]
    return fftconvolve(noise, chosen, axes=-1)[..., :taps].sum(axis=0)


def write_head_bank(path: Path, head: Head, conf: HeadConf, rooms: int, taps: int, sample_rate: int, seed: list[int]):
    """A bank of `rooms` tails (or as many anechoic sets), one response per direction in each, at ear height.

    Args: taps, length of a response at `sample_rate` Hz; seed, with the room's number it draws directions and tail.
    DataError for a head without a response at elevation 0 in one of the directions.
    """
    level = np.flatnonzero(np.abs(head.elevation) < 1)
    rirs, rows = [], []
    for index in range(rooms):
        rng = np.random.default_rng([*seed, index])
        rt60 = 0.0 if conf.rt60 is None else float(rng.uniform(*conf.rt60))
        for direction in DIRECTIONS:
            low, high = zone(direction)
            inside = level[(head.azimuth[level] > low) & (head.azimuth[level] < high)]
            if not len(inside):
                raise DataError(f"the measured head has no response at elevation 0 between {low} and {high} deg")
            chosen = int(rng.choice(inside))
            response = np.zeros((2, taps), dtype=np.float32)
            direct = head.responses[chosen][:, :taps]
            response[:, : direct.shape[1]] = direct
            if conf.rt60 is not None:
                first = round(conf.tail_delay * sample_rate)
                tail = diffuse_tail(head, rt60, sample_rate, taps - first, rng)
                gain = np.sqrt(np.square(direct).sum() / np.square(tail).sum() / 10 ** (rng.uniform(*conf.drr_db) / 10))
                response[:, first:] += (gain * tail).astype(np.float32)
            rirs.append(response)
            rows.append(
                {"room": f"head-{index:04d}", "rt60": rt60, "azimuth": head.azimuth[chosen], "direction": direction}
            )
    save_bank(path, np.stack(rirs), rows)
