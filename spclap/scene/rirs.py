"""What an array hears in a shoebox room, by the image-source method (Allen and Berkley; images by pyroomacoustics)."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from spclap.space.array import SAMPLE_RATE, SPEED_OF_SOUND, Array, Pair, Panned

FINER = 4  # steps of a sample between which an image is placed
LEAD = 40  # samples before the first sound: an ear may hear it before the array's middle would


@dataclass(frozen=True)
class Listener:
    """An array in a room: its middle (3,) in m, and where it looks, radians from +x to +y."""

    array: Array
    middle: np.ndarray
    yaw: float

    @property
    def axes(self) -> np.ndarray:
        """(3, 3) unit vectors ahead, to the right and up."""
        ahead = np.array([np.cos(self.yaw), np.sin(self.yaw), 0.0])
        return np.stack([ahead, [ahead[1], -ahead[0], 0.0], [0.0, 0.0, 1.0]])

    def toward(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points (n, 3) in m -> unit vectors (n, 3) ahead, to the right and up, and distances (n,)."""
        away = (points - self.middle) @ self.axes.T
        distance = np.linalg.norm(away, axis=1)
        return away / distance[:, None], distance

    def lateral(self, point: np.ndarray) -> float:
        """Degrees off the plane in the middle of the channels, right positive: all that two channels can tell."""
        toward, _ = self.toward(point[None])
        return float(np.rad2deg(np.arcsin(toward[0, 1].clip(-1, 1))))


def absorbs(rt60: float, size: np.ndarray) -> bool:
    """Whether walls that absorb less than everything give that RT60 (Sabine)."""
    volume, surface = np.prod(size), 2 * (size[0] * size[1] + size[0] * size[2] + size[1] * size[2])
    return 24 * np.log(10) * volume / (SPEED_OF_SOUND * surface * rt60) < 1


def room_rirs(size: np.ndarray, rt60: float, listener: Listener, sources: np.ndarray, taps: int) -> np.ndarray:
    """RIRs of sources (n, 3) in a room of `size` (3,), all in m, to an array -> (n, 2, taps) float32.

    Microphones hear where they are; a head hears each image as its response to a far sound from there; a mixing desk
    pans what one microphone heard. ValueError when no walls give that RT60.
    """
    images, array = _images(size, rt60, sources, taps), listener.array
    length = next_fast_len(taps + 2 * LEAD, real=True)
    if isinstance(array, Pair):
        microphones = zip(array.positions, np.deg2rad(array.axes), strict=True)
        heard = [_microphone(listener, *place, array.omni, images, length) for place in microphones]
        spectra = np.stack(heard, axis=1)
    elif isinstance(array, Panned):
        gains = array.gains([listener.lateral(source) for source in sources])
        spectra = gains[..., None] * _microphone(listener, 0.0, 0.0, 1.0, images, length)[:, None]
    else:
        spectra = _head(listener, images, length)
    return irfft(spectra, length)[..., :taps].astype(np.float32)


def _images(size: np.ndarray, rt60: float, sources: np.ndarray, taps: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Images (k, 3) in m of each source, all whose sound arrives within `taps`, with gains (k,) of their walls."""
    import pyroomacoustics as pra

    absorption, order = pra.inverse_sabine(rt60, size)
    within = taps / SAMPLE_RATE * SPEED_OF_SOUND * np.linalg.norm(1 / size)  # no image of a higher order is as near
    order = min(order, int(np.ceil(within)))
    room = pra.ShoeBox(size, fs=SAMPLE_RATE, materials=pra.Material(absorption), max_order=order)
    for source in sources:
        room.add_source(source)
    room.add_microphone(size / 2)  # images are those of the sources, wherever one listens
    room.image_source_model()
    return [(source.images.T, source.damping[0]) for source in room.sources]


def _microphone(
    listener: Listener, right: float, look: float, omni: float, images: list[tuple[np.ndarray, np.ndarray]], length: int
) -> np.ndarray:
    """Spectra (sources, length // 2 + 1) of one that stands `right` m of the middle and looks to `look`, in radians."""
    there, heard = replace(listener, middle=listener.middle + right * listener.axes[1]), []
    for points, gains in images:
        toward, distance = there.toward(points)
        pattern = omni + (1 - omni) * toward @ [np.cos(look), np.sin(look), 0.0]
        heard.append(_spectra(np.zeros(len(points), int), distance, gains * pattern, 1, length)[0])
    return np.stack(heard)


def _head(listener: Listener, images: list[tuple[np.ndarray, np.ndarray]], length: int) -> np.ndarray:
    """Spectra (sources, 2, length // 2 + 1) of what a head hears."""
    found = [(*listener.toward(points), gains) for points, gains in images]
    found = [(listener.array.nearest(toward), distance, gains) for toward, distance, gains in found]
    rows = np.unique(np.concatenate([which for which, *_ in found]))
    responses = listener.array.at(rows, np.fft.rfftfreq(length, 1 / SAMPLE_RATE)).astype(np.complex64)
    spectra = (_spectra(np.searchsorted(rows, which), *rest, len(rows), length) for which, *rest in found)
    return np.stack([np.einsum("kf,kcf->cf", spectrum, responses) for spectrum in spectra])


def _spectra(row: np.ndarray, distance: np.ndarray, gains: np.ndarray, rows: int, length: int) -> np.ndarray:
    """(rows, length // 2 + 1): the images of a row make one train of impulses on a fine grid; below half the sample
    rate its spectrum is that of sincs between samples."""
    at = (distance / SPEED_OF_SOUND * SAMPLE_RATE + LEAD) * FINER
    near = at < (length - LEAD) * FINER
    first, rest = np.divmod(at[near], 1)
    weight, place = gains[near] / distance[near], row[near] * length * FINER + first.astype(int)
    trains = np.bincount(place, weight * (1 - rest), rows * length * FINER)
    trains += np.bincount(place + 1, weight * rest, len(trains))
    return rfft(trains.reshape(rows, -1).astype(np.float32))[:, : length // 2 + 1]
