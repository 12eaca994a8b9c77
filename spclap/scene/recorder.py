"""What a recording holds beside its sources: noise of the room, which both channels hear as a diffuse field, and what
recorders add: wind, hum, noise of their own, a cut below some frequency, channels that are not quite alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from spclap.space.array import SAMPLE_RATE, Array

FIELD = 400  # plane waves that stand for a diffuse field
GRID = 129  # frequencies at which it is computed; between them it is smooth
LOWEST = 20.0  # Hz, below which noise does not rise any more
WIND_DB = -9.0  # dB an octave of the spectrum of wind in microphones
HARMONICS = 6  # of hum
NONE = -200.0  # dB, a level at which nothing is
ORDER = 2  # of the cut, a Butterworth high-pass


@dataclass(frozen=True)
class Recorder:
    """All of one recording but its sources; if nothing is said, nothing. Levels are dB over that of the sources
    together, mean squares of the whole scene.

    Args: room_db, of noise that comes evenly from everywhere, and slope_db, dB an octave of its spectrum (-3: 1/f);
    wind_db and own_db, of what each channel has of its own, own_db being white; hum_db and hum_hz, of mains hum, the
    same in all channels; gain_db, by which channel 1 is louder than channel 0; highpass_hz, below which all is cut;
    seed of the noise.
    """

    room_db: float = NONE
    slope_db: float = 0.0
    wind_db: float = NONE
    own_db: float = NONE
    hum_db: float = NONE
    hum_hz: float = 50.0
    gain_db: float = 0.0
    highpass_hz: float = 1e-3
    seed: int = 0


@lru_cache(maxsize=1024)
def field(array: Array) -> torch.Tensor:
    """(channels, channels, GRID) complex: lower factors L, at frequencies up to half the rate, of the covariance L L^H
    of the channels in a diffuse field, of mean power 1. Waves come evenly from all over the sphere, in a spiral."""
    frequencies, number = np.linspace(0, SAMPLE_RATE / 2, GRID), np.arange(FIELD)
    right, turn = (number + 0.5) / FIELD * 2 - 1, number * np.pi * (3 - 5**0.5)
    across = np.sqrt(1 - right**2)
    vectors = np.stack([across * np.cos(turn), right, across * np.sin(turn)], axis=1)
    responses = array.toward(vectors, frequencies)  # (K, channels, F)
    covariance = np.einsum("kcf,kdf->fcd", responses, responses.conj()) / FIELD
    power = np.einsum("fcc->f", covariance).real.mean() / array.channels
    factors = np.linalg.cholesky(covariance / power + 1e-6 * np.eye(array.channels))
    return torch.from_numpy(factors.transpose(1, 2, 0).astype(np.complex64))


def _stretched(factors: torch.Tensor, bins: int) -> torch.Tensor:
    """(..., GRID) complex -> (..., bins), linear between the frequencies of the grid."""
    place = torch.linspace(0, GRID - 1, bins)
    low = place.long().clamp_max(GRID - 2)
    part = place - low
    return factors[..., low] * (1 - part) + factors[..., low + 1] * part


def _at_level(noise: torch.Tensor, level_db: float) -> torch.Tensor:
    """(channels, T) with a mean square of `level_db`."""
    return noise * (10 ** (level_db / 20) / noise.square().mean().sqrt().clamp_min(1e-12))


def noise(recorder: Recorder, array: Array, samples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Of recordings whose sources have a mean square of 1: what the room adds and what recorders do, (channels, T)."""
    drawn = torch.Generator().manual_seed(recorder.seed)
    white = torch.randn(3, array.channels, samples, generator=drawn)
    frequencies = torch.fft.rfftfreq(samples, 1 / SAMPLE_RATE)
    octaves = (frequencies.clamp_min(LOWEST) / 1000).log2()
    room, wind = torch.fft.rfft(white[:2])
    room = torch.einsum("cdf,df->cf", _stretched(field(array), len(frequencies)), room)
    slopes = torch.tensor([[[recorder.slope_db]], [[WIND_DB]]])
    room, wind = torch.fft.irfft(torch.stack([room, wind]) * 10 ** (slopes * octaves / 20), samples)
    times = 2 * torch.pi * recorder.hum_hz / SAMPLE_RATE * torch.arange(samples)
    hum = sum((k * (times + 0.7 * k)).sin() / k for k in range(1, HARMONICS + 1)).expand(array.channels, -1)
    own = ((wind, recorder.wind_db), (white[2], recorder.own_db), (hum, recorder.hum_db))
    return _at_level(room, recorder.room_db), sum(_at_level(part, level) for part, level in own)


def _through(recorder: Recorder, heard: torch.Tensor) -> torch.Tensor:
    """(channels, T) after the cut and with the gains of the channels."""
    spectrum = torch.fft.rfft(heard)
    ratio = torch.fft.rfftfreq(heard.shape[-1], 1 / SAMPLE_RATE) / recorder.highpass_hz
    gains = torch.tensor([[-recorder.gain_db / 2], [recorder.gain_db / 2]])
    response = 10 ** (gains / 20) * (ratio**ORDER / (1 + ratio ** (2 * ORDER)).sqrt())
    return torch.fft.irfft(spectrum * response, heard.shape[-1])


def record(sources: torch.Tensor, by: Sequence[tuple[Recorder, Array] | None]) -> torch.Tensor:
    """(N, channels, T) of sources -> of recordings, each by a recorder through an array, or as it is."""
    out, made = [], {}
    for heard, one in zip(sources.cpu(), by, strict=True):
        if one is not None:
            level = heard.square().mean().sqrt()
            if one not in made:  # permutations of a scene share it
                made[one] = noise(*one, heard.shape[-1])
            room, own = made[one]
            heard = _through(one[0], heard + level * room) + level * own
        out.append(heard)
    return torch.stack(out).to(sources.device)
