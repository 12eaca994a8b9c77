"""What a recording holds beside its sources: noise of the room, which both channels hear as a diffuse field, and what
recorders add: wind, hum, noise of their own, a cut below some frequency, channels that are not quite alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from spclap.space.array import SAMPLE_RATE, Array
from spclap.space.diffuse import diffuse_factors

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


def _at_level(spectrum: torch.Tensor, level_db: float, samples: int) -> torch.Tensor:
    """(channels, F) of noise with a mean square of `level_db` in `samples`, by Parseval."""
    weights = torch.full((spectrum.shape[-1],), 2.0)
    weights[0] = 1.0
    weights[-1] = 1.0 if samples % 2 == 0 else 2.0
    power = (weights * torch.view_as_real(spectrum).square().sum(dim=-1)).sum(dim=-1).mean() / samples**2
    return spectrum * (10 ** (level_db / 20) / power.sqrt().clamp_min(1e-12))


def noise(recorder: Recorder, array: Array, samples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Spectra (channels, F) of what the room adds to sources of a mean square of 1, and of what recorders do."""
    drawn, bins = torch.Generator().manual_seed(recorder.seed), samples // 2 + 1
    room, wind, own = torch.complex(*torch.randn(2, 3, array.channels, bins, generator=drawn))
    octaves = (torch.fft.rfftfreq(samples, 1 / SAMPLE_RATE).clamp_min(LOWEST) / 1000).log2()
    room, wind = (x * 10 ** (slope * octaves / 20) for x, slope in ((room, recorder.slope_db), (wind, WIND_DB)))
    room = torch.einsum("cdf,df->cf", diffuse_factors(array, bins), room)
    parts = [_at_level(room, recorder.room_db, samples), _at_level(wind, recorder.wind_db, samples)]
    parts.append(_at_level(own, recorder.own_db, samples))
    if recorder.hum_db > NONE:
        times = 2 * torch.pi * recorder.hum_hz / SAMPLE_RATE * torch.arange(samples)
        hum = sum((k * (times + 0.7 * k)).sin() / k for k in range(1, HARMONICS + 1))
        parts.append(_at_level(torch.fft.rfft(hum).expand(array.channels, -1), recorder.hum_db, samples))
    return parts[0], sum(parts[1:])


def _response(recorder: Recorder, samples: int) -> torch.Tensor:
    """(2, F): the cut, and the gains of the channels."""
    ratio = torch.fft.rfftfreq(samples, 1 / SAMPLE_RATE) / recorder.highpass_hz
    gains = torch.tensor([[-recorder.gain_db / 2], [recorder.gain_db / 2]])
    return 10 ** (gains / 20) * (ratio**ORDER / (1 + ratio ** (2 * ORDER)).sqrt())


def record(sources: torch.Tensor, by: Sequence[tuple[Recorder, Array] | None]) -> torch.Tensor:
    """(N, channels, T) of sources -> of recordings, each by a recorder through an array, or as it is."""
    recordings, made, samples = sources.cpu().clone(), {}, sources.shape[-1]
    for row, one in enumerate(by):
        if one is None:
            continue
        if one not in made:  # permutations of a scene share it
            made[one] = (*noise(*one, samples), _response(one[0], samples))
        (room, own, response), heard = made[one], recordings[row]
        level = heard.square().mean().sqrt()
        spectrum = response * (torch.fft.rfft(heard) + level * room) + level * own
        recordings[row] = torch.fft.irfft(spectrum, samples)
    return recordings.to(sources.device)
