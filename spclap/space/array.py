"""Arrays of microphones: what each channel hears of a plane wave.

Azimuth is in degrees, negative left; channel 0 is left. A response is complex, relative to the array's middle: a wave
that reaches a channel earlier has exp(+j omega t) there, the convention of torch.stft and numpy.fft.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import ClassVar

import numpy as np
from scipy.special import eval_legendre, spherical_jn, spherical_yn

from spclap.errors import DataError
from spclap.space.measured import Head, unit_vectors
from spclap.space.sofa import WAYS, read_head

SAMPLE_RATE = 16000  # Hz, of everything that is heard
SPEED_OF_SOUND = 343.0  # m/s, pyroomacoustics' default


class Array(ABC):
    """Two or more channels that hear one sound field."""

    channels: ClassVar[int] = 2

    @abstractmethod
    def responses(self, azimuths: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
        """Far-field responses of sounds at ear height, (K,) degrees and (F,) Hz -> complex (K, channels, F)."""

    @abstractmethod
    def __str__(self) -> str:
        """What `array_of` reads."""

    def mirrored(self) -> "Array":
        """The array that hears the mirrored sound field as this one hears the field, channels exchanged."""
        return self

    def nearest(self, toward: np.ndarray) -> np.ndarray:
        """Unit vectors (n, 3) ahead, to the right and up -> rows (n,) for `at`: whole degrees off the middle plane, as
        all that an array hears which is round about the axis of its channels."""
        return np.rint(np.rad2deg(np.arcsin(toward[:, 1].clip(-1, 1)))).astype(int) + 90

    def at(self, rows: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
        """Responses (k, channels, F) of rows (k,) that `nearest` gave."""
        return self.responses(rows - 90, frequencies)

    def toward(self, vectors: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
        """Far-field responses (n, channels, F) of sounds from unit vectors (n, 3) ahead, to the right and up."""
        return self.at(self.nearest(vectors), frequencies)


@dataclass(frozen=True)
class Pair(Array):
    """Two microphones of first order: what one hears of a wave at an angle t to its axis is `omni` + (1 - omni) cos t.

    Args: spacing, m; angle, degrees between the axes, which look to the left and to the right of ahead; omni, 1 for
    omnidirectional microphones, 0.5 for cardioids, 0 for a figure of eight. ValueError for sizes that no pair has.
    """

    spacing: float
    angle: float = 0.0
    omni: float = 1.0

    def __post_init__(self) -> None:
        if not (0 <= self.spacing <= MAX_SPACING and 0 <= self.angle <= 180 and 0 <= self.omni <= 1):
            raise ValueError(
                f"spacing {self.spacing} m must be within [0, {MAX_SPACING}], angle {self.angle} in [0, 180] degrees"
            )
        if self.spacing == 0 and (self.angle == 0 or self.omni == 1):
            raise ValueError("both microphones are at one point and look the same way, so they hear the same")

    @property
    def positions(self) -> np.ndarray:
        """(2,) m to the right of the array's middle."""
        return np.array([-self.spacing / 2, self.spacing / 2])

    @property
    def axes(self) -> np.ndarray:
        """(2,) degrees at which the microphones look."""
        return np.array([-self.angle / 2, self.angle / 2])

    def responses(self, azimuths: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
        return self.toward(unit_vectors(np.asarray(azimuths, dtype=float), np.zeros(len(azimuths))), frequencies)

    def toward(self, vectors: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
        axes = unit_vectors(self.axes, np.zeros(2))
        early = vectors[:, 1:2] * self.positions / SPEED_OF_SOUND  # s
        return (self.omni + (1 - self.omni) * vectors @ axes.T)[..., None] * _ahead(early, frequencies)

    def __str__(self) -> str:
        if self in (named := {array: name for name, array in NAMED.items()}):
            return named[self]
        if self.omni == 1:
            return f"pair:{_told(self.spacing)}"
        if self.omni != 0.5:
            return f"first-order:{_told(self.spacing)}:{_told(self.angle)}:{_told(self.omni)}"
        return f"cardioids:{_told(self.spacing)}:{_told(self.angle)}" if self.spacing else f"xy:{_told(self.angle)}"


@dataclass(frozen=True)
class Panned(Array):
    """Stereo as a mixing desk makes it: levels alone, of constant power, from all left to all right."""

    def gains(self, azimuths: np.ndarray) -> np.ndarray:
        """(K,) degrees -> (K, 2)."""
        turn = np.deg2rad(np.asarray(azimuths, dtype=float) + 90) / 2
        return np.stack([np.cos(turn), np.sin(turn)], axis=-1)

    def responses(self, azimuths: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
        return np.repeat(self.gains(azimuths)[..., None].astype(complex), len(frequencies), axis=-1)

    def __str__(self) -> str:
        return "panned"


@dataclass(frozen=True)
class Sphere(Array):
    """A rigid sphere with ears at +-90 degrees, as a model of any head: the exact solution for a far source (Duda and
    Martens, JASA 104(5), 1998, equation 3 at infinite range).

    Args: radius, m. ValueError for one that no head has.
    """

    radius: float
    SMALLEST: ClassVar[float] = 0.05  # of the circumference in wavelengths; below it a sphere is hardly there

    def __post_init__(self) -> None:
        if not 0.03 <= self.radius <= 0.3:
            raise ValueError(f"radius is {self.radius} m; it must be within [0.03, 0.3], that of a head is 0.0875")

    def responses(self, azimuths: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
        around = (2 * np.pi * self.radius / SPEED_OF_SOUND * np.asarray(frequencies)).clip(self.SMALLEST)
        order = np.arange(int(around.max() + 4 * np.cbrt(around.max())) + 6)[:, None]  # what is left out is below 1e-6
        slope = spherical_jn(order, around, derivative=True) - 1j * spherical_yn(order, around, derivative=True)
        terms = 1j ** (order - 1) * (2 * order + 1) / (slope * around**2)
        towards = np.cos(np.deg2rad(np.asarray(azimuths, dtype=float)[:, None] - np.array([-90.0, 90.0])))
        return eval_legendre(order[:, 0], towards[..., None]) @ terms

    def __str__(self) -> str:
        return f"sphere:{_told(self.radius)}"


@dataclass(frozen=True)
class Measured(Array):
    """A head whose responses were measured without a room.

    Args: path of a SOFA file; way, what its metadata have wrong, see `read_head`; flipped, whether it is mirrored.
    """

    path: Path
    way: str = ""
    flipped: bool = False

    @property
    def head(self) -> Head:
        """DataError for a file that cannot be used."""
        head = _head(self.path, self.way)
        if head.in_room:
            raise DataError(f"{self.path}: was measured in a room; an array has free-field responses, or is a sphere")
        return head.mirrored() if self.flipped else head

    def responses(self, azimuths: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
        """Those of the nearest directions that were measured."""
        return self.at(
            self.nearest(unit_vectors(np.asarray(azimuths, dtype=float), np.zeros(len(azimuths)))), frequencies
        )

    def nearest(self, toward: np.ndarray) -> np.ndarray:
        return (toward @ self.head.toward.T).argmax(axis=1)

    def at(self, rows: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
        times = np.arange(self.head.responses.shape[-1]) / SAMPLE_RATE
        return self.head.responses[rows] @ np.exp(-2j * np.pi * times[:, None] * np.asarray(frequencies))

    def mirrored(self) -> Array:
        return Measured(self.path, self.way, not self.flipped)

    def __str__(self) -> str:
        return ":".join(["head", str(self.path), *filter(None, [self.way]), *(["mirrored"] if self.flipped else [])])


def _told(size: float) -> str:
    """A size in as many digits as it takes to read it again."""
    return np.format_float_positional(float(size), trim="-")


@lru_cache(maxsize=8)
def _head(path: Path, way: str) -> Head:
    return read_head(path, SAMPLE_RATE, way)


def _ahead(seconds: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """Earlier by (...,) s -> (..., F)."""
    return np.exp(2j * np.pi * seconds[..., None] * np.asarray(frequencies))


@lru_cache(maxsize=4096)
def match_table(array: Array, azimuths: tuple[float, ...], frequencies: tuple[float, ...]) -> np.ndarray:
    """How a wave from each look would show in the powers and cross-spectra of the channels, (K, channels ** 2, F).

    `match = |A^H X|^2 / (|A|^2 |X|^2)`, A the response of a look and X what the channels heard, is the sum over i of
    these numbers times what `MatchedSpectrum.powers` makes of X, over |X|: in [0, 1], and 1 where X is a wave from
    there.
    """
    responses = array.responses(np.array(azimuths), np.array(frequencies))
    power = np.square(np.abs(responses))
    rows = [power[:, i] for i in range(array.channels)]
    for i, j in combinations(range(array.channels), 2):
        cross = 2 * responses[:, i].conj() * responses[:, j]
        rows += [cross.real, -cross.imag]
    return (np.stack(rows, axis=1) / power.sum(axis=1, keepdims=True).clip(1e-12)).astype(np.float32)


MAX_SPACING = 2.0  # m
NAMED: dict[str, Array] = {"ortf": Pair(0.17, 110.0, 0.5), "ms": Pair(0.0, 126.87, 0.309), "panned": Panned()}
SIZED: dict[str, tuple[int, Callable[..., Array], str]] = {  # name -> how many numbers follow, what they make, in words
    "pair": (1, Pair, "pair:SPACING (omnis)"),
    "xy": (1, lambda angle: Pair(0.0, angle, 0.5), "xy:ANGLE (cardioids at one point)"),
    "cardioids": (2, lambda spacing, angle: Pair(spacing, angle, 0.5), "cardioids:SPACING:ANGLE"),
    "first-order": (3, Pair, "first-order:SPACING:ANGLE:OMNI (1 omni, 0.5 cardioid, 0 figure of eight)"),
    "sphere": (1, Sphere, "sphere:RADIUS (any head)"),
}
FORMS = ", ".join([*NAMED, *(words for *_, words in SIZED.values()), "head:FILE.sofa"]) + "; metres, degrees"


def array_of(text: str) -> Array:
    """The array that words such as `pair:0.17`, `ortf` or `head:kemar.sofa` name; DataError lists all forms."""
    if text in NAMED:
        return NAMED[text]
    kind, *values = str(text).split(":")
    if kind == "head" and values:
        return _measured(values)
    if kind not in SIZED or len(values) != SIZED[kind][0]:
        raise DataError(f"array `{text}` is none of: {FORMS}")
    try:
        return SIZED[kind][1](*map(float, values))
    except ValueError as error:
        raise DataError(f"array `{text}`: {error}; there are: {FORMS}") from error


def _measured(values: list[str]) -> Measured:
    words = {"mirrored", *WAYS}
    ways = [value for value in values if value in WAYS]
    path = ":".join(value for value in values if value not in words)
    if len(ways) > 1 or not path:
        raise DataError(f"array `head:{':'.join(values)}` needs a file, and one of {', '.join(WAYS)} at most; {FORMS}")
    return Measured(Path(path), "".join(ways), "mirrored" in values)
