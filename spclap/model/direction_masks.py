"""Which part of a mixture comes from which direction: masks over time and mel bands.

Both encoders are told what array they hear through. They compare the spectra of its channels with those that a wave
from each of some looks would give there; one turns the comparison into masks by a formula, the other learns to.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import torch
import torchaudio
from torch import nn
from torch.nn import functional as F

from spclap.model.content_encoder import MEL, MEL_BANDS, STFT
from spclap.space.array import SAMPLE_RATE, Array, match_table
from spclap.space.directions import DIRECTIONS, center

BINS = STFT["n_fft"] // 2 + 1
GROUP = 4  # mel bands whose bins are weighted at once
FREQUENCIES = tuple(index * SAMPLE_RATE / STFT["n_fft"] for index in range(BINS))  # Hz


class MatchedSpectrum(nn.Module):
    """STFT of all channels, and how well each of K looks explains it.

    Args: looks (K,) azimuths in degrees.
    """

    def __init__(self, looks: Sequence[float]):
        super().__init__()
        mel = torchaudio.transforms.MelScale(
            MEL_BANDS, SAMPLE_RATE, MEL["f_min"], MEL["f_max"], BINS, MEL["norm"], MEL["mel_scale"]
        )
        self.looks = tuple(map(float, looks))
        self.register_buffer("window", torch.hann_window(STFT["win_length"]), persistent=False)
        self.register_buffer("bands", mel.fb, persistent=False)
        bins = [mel.fb[:, first : first + GROUP].any(dim=1).nonzero() for first in range(0, MEL_BANDS, GROUP)]
        self.groups = [slice(int(found[0]), int(found[-1]) + 1) for found in bins]

    def spectra(self, audio: torch.Tensor) -> torch.Tensor:
        """(N, channels, T) -> complex (N, channels, frames, bins), the frames of the content encoders."""
        sizes = {key: STFT[key] for key in ("n_fft", "hop_length", "win_length")}
        spectra = torch.stft(audio.flatten(0, 1), window=self.window, center=False, return_complex=True, **sizes)
        return spectra.unflatten(0, audio.shape[:2]).transpose(-1, -2)

    def to_mel(self, spectrum: torch.Tensor) -> torch.Tensor:
        """(..., frames, bins) -> (..., frames, mel bands)."""
        return spectrum @ self.bands

    def magnitude(self, spectra: torch.Tensor) -> torch.Tensor:
        """(N, channels, frames, bins) -> (N, frames, bins) of the mean of all channels, what content encoders see."""
        return spectra.mean(dim=1).abs()

    def powers(self, spectra: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Powers and cross-spectra over |X|, (N, channels ** 2, frames, bins) in the order of `match_table`, and |X|
        over all channels, (N, frames, bins)."""
        real, imag = spectra.real.contiguous(), spectra.imag.contiguous()  # twice as fast as complex numbers
        power = real.square() + imag.square()
        rows = list(power.unbind(1))
        for i, j in combinations(range(spectra.shape[1]), 2):
            rows.append(real[:, i] * real[:, j] + imag[:, i] * imag[:, j])
            rows.append(imag[:, i] * real[:, j] - real[:, i] * imag[:, j])
        total = power.sum(dim=1).sqrt()
        scale = 1 / total.clamp_min(1e-9)
        return torch.stack([row * scale for row in rows], dim=1), total

    def tables(self, arrays: Sequence[Array]) -> torch.Tensor:
        """`match_table` of each array, (N, looks, channels ** 2, bins)."""
        tables = np.stack([match_table(array, self.looks, FREQUENCIES) for array in arrays])
        return torch.from_numpy(tables).to(self.bands.device)

    def matched(self, powers: torch.Tensor, arrays: Sequence[Array]) -> torch.Tensor:
        """|X| times the match of each look, (N, channels ** 2, frames, bins) -> (N, looks, frames, bins).

        `arrays`: that of each item, or one for all.
        """
        tables = self.tables(arrays).expand(len(powers), -1, -1, -1)
        return torch.einsum("nptf,nkpf->nktf", powers, tables)

    def matched_mel(self, powers: torch.Tensor, arrays: Sequence[Array]) -> torch.Tensor:
        """`to_mel` of `matched`, (N, looks, frames, mel bands), from a few bands and the bins in them at once: a third
        of the time."""
        tables, parts = self.tables(arrays), []
        for number, bins in enumerate(self.groups):
            bands = self.bands[bins, number * GROUP : (number + 1) * GROUP]
            weights = torch.einsum("fm,nkpf->npfkm", bands, tables[..., bins]).flatten(3).flatten(1, 2)
            heard = powers[..., bins].transpose(1, 2).flatten(2) @ weights
            parts.append(heard.unflatten(2, (len(self.looks), -1)))
        return torch.cat(parts, dim=3).transpose(1, 2)


class FixedMasks(nn.Module):
    """Masks by formula, nothing to learn: softmax over the directions of `sharpness` times the match of their middle,
    smoothed over 11 bins and 5 frames, weighted by magnitude."""

    pretraining = None

    def __init__(self, sharpness: float = 16.0):
        super().__init__()
        self.front, self.sharpness = MatchedSpectrum([center(direction) for direction in DIRECTIONS]), sharpness

    def forward(self, audio: torch.Tensor, arrays: Sequence[Array]) -> torch.Tensor:
        """(N, channels, T), heard by `arrays`, N or one -> (N, directions, frames, mel bands), 1 over directions."""
        spectra = self.front.spectra(audio)
        powers, weight = self.front.powers(spectra)
        matched, weight = (
            F.avg_pool2d(x, (5, 11), 1, (2, 5), count_include_pad=False)
            for x in (self.front.matched(powers, arrays), weight[:, None])
        )
        masks = (self.sharpness * matched / weight.clamp_min(1e-9)).softmax(dim=1)
        magnitude = self.front.magnitude(spectra)[:, None] + 1e-9
        return self.front.to_mel(masks * magnitude) / self.front.to_mel(magnitude)


class LearnedMasks(nn.Module):
    """Masks by a small network that sees the match of looks per mel band and the level every 20 ms, pre-trained on
    ideal ratio masks of simulated scenes (location-based training: an output per direction, not per speaker).

    A convolution at full resolution, three that halve the bands and a BiGRU at 40 ms for what the whole recording
    says about where sources are.

    Args: looks, number of azimuths from -90 to 90 degrees; channels, hidden: sizes.
    """

    pretraining = "masks"
    POOL = 2  # frames a step of the network, and steps a step of its GRU

    def __init__(self, looks: int = 13, channels: int = 24, hidden: int = 96):
        super().__init__()
        self.front = MatchedSpectrum(np.linspace(-90, 90, looks))

        def block(inputs: int, stride: int) -> nn.Sequential:
            conv = nn.Conv2d(inputs, channels, 3, (1, stride), padding=1)
            return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU())

        self.fine = block(looks + 1, 1)
        self.coarse = nn.Sequential(*(block(channels, 2) for _ in range(3)))
        self.middle_linear = nn.Linear(channels * MEL_BANDS // 8, hidden)
        self.gru = nn.GRU(hidden, hidden, batch_first=True, bidirectional=True)
        self.spread = nn.Linear(2 * hidden, 8 * MEL_BANDS)
        self.out = nn.Sequential(
            nn.Conv2d(channels + 8, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, len(DIRECTIONS), 1)
        )

    def inputs(self, spectra: torch.Tensor, arrays: Sequence[Array]) -> torch.Tensor:
        """(N, channels, frames, bins) -> (N, looks + 1, steps, mel bands): matches in [0, 1], and a log level."""
        powers, weight = (F.avg_pool2d(x, (self.POOL, 1), ceil_mode=True) for x in self.front.powers(spectra))
        level = self.front.to_mel(weight)[:, None]
        matched = self.front.matched_mel(powers, arrays) / level.clamp_min(1e-6)
        return torch.cat([matched, (level + 1e-3).log() / 2 + 1], dim=1)

    def logits(self, spectra: torch.Tensor, arrays: Sequence[Array]) -> torch.Tensor:
        """(N, channels, frames, bins), heard by `arrays`, N or one -> (N, directions, frames, mel bands)."""
        with torch.autocast(spectra.device.type, enabled=False):  # phases need more than 8 bits
            inputs = self.inputs(spectra, arrays).contiguous(memory_format=torch.channels_last)  # faster on CPU
        fine = self.fine(inputs)
        steps = F.avg_pool2d(self.coarse(fine), (self.POOL, 1), ceil_mode=True)
        states, _ = self.gru(self.middle_linear(steps.transpose(1, 2).flatten(2)))
        states = self.spread(states).unflatten(2, (8, MEL_BANDS)).transpose(1, 2)
        states = self._stretched(states)[:, :, : fine.shape[2]]
        logits = self.out(torch.cat([fine, states], dim=1))
        return self._stretched(logits)[:, :, : spectra.shape[2]]

    def _stretched(self, maps: torch.Tensor) -> torch.Tensor:
        """(N, C, steps, bands) -> (N, C, 2 steps, bands), each step twice; its gradient is faster than that of
        repeat_interleave."""
        return maps.unsqueeze(3).expand(-1, -1, -1, self.POOL, -1).flatten(2, 3)

    def forward(self, audio: torch.Tensor, arrays: Sequence[Array]) -> torch.Tensor:
        """(N, channels, T), heard by `arrays`, N or one -> (N, directions, frames, mel bands), 1 over directions."""
        with torch.autocast(audio.device.type, enabled=False):
            spectra = self.front.spectra(audio)
        return self.logits(spectra, arrays).float().softmax(dim=1)


def mask_loss(logits: torch.Tensor, magnitudes: torch.Tensor) -> torch.Tensor:
    """Divergence of predicted from ideal ratio masks, each cell weighted by the root of its magnitude.

    Args: logits, magnitudes (N, directions, frames, mel bands); `magnitudes` of what comes from each direction.
    """
    total = magnitudes.sum(dim=1, keepdim=True)
    ideal = magnitudes / total.clamp_min(1e-6)
    divergence = F.kl_div(logits.log_softmax(dim=1), ideal, reduction="none").sum(dim=1, keepdim=True)
    weight = total.sqrt()
    return (weight * divergence).sum() / weight.sum().clamp_min(1e-6)
