"""Which part of a mixture comes from which direction: masks over time and mel bands.

Both encoders compare the phase difference of the channels with that of a plane wave of a given delay (steered
response, as in DUET and SRP-PHAT); one turns the comparison into masks by a formula, the other learns to.
"""

import math

import torch
import torchaudio
from torch import nn
from torch.nn import functional as F

from spclap.model.blocks import DIRECTION_COUNT
from spclap.model.content_encoder import MEL, MEL_BANDS, STFT
from spclap.model.features import SAMPLE_RATE

BINS = STFT["n_fft"] // 2 + 1
SPEED_OF_SOUND = 343.0  # m/s


class SteeredSpectrum(nn.Module):
    """STFT of both channels, steered.

    Args: delays (K,) in s, by how much the left channel is ahead of the right one for each look direction.
    """

    def __init__(self, delays: torch.Tensor):
        super().__init__()
        mel = torchaudio.transforms.MelScale(
            MEL_BANDS, SAMPLE_RATE, MEL["f_min"], MEL["f_max"], BINS, MEL["norm"], MEL["mel_scale"]
        )
        omega = 2 * math.pi * torch.arange(BINS) * SAMPLE_RATE / STFT["n_fft"]
        steer = torch.polar(torch.ones(len(delays), BINS), -omega * delays[:, None])
        self.register_buffer("window", torch.hann_window(STFT["win_length"]), persistent=False)
        self.register_buffer("bands", mel.fb, persistent=False)
        self.register_buffer("cosine", steer.real, persistent=False)
        self.register_buffer("sine", steer.imag, persistent=False)

    def spectra(self, stereo: torch.Tensor) -> torch.Tensor:
        """(N, 2, T) -> complex (N, 2, bins, frames), the frames of the content encoders."""
        count, _, samples = stereo.shape
        sizes = {key: STFT[key] for key in ("n_fft", "hop_length", "win_length")}
        spectra = torch.stft(
            stereo.reshape(2 * count, samples), window=self.window, center=False, return_complex=True, **sizes
        )
        return spectra.unflatten(0, (count, 2))

    def to_mel(self, spectrum: torch.Tensor) -> torch.Tensor:
        """(..., bins, frames) -> (..., frames, mel bands)."""
        return spectrum.transpose(-1, -2) @ self.bands

    def magnitude(self, spectra: torch.Tensor) -> torch.Tensor:
        """(N, 2, bins, frames) -> (N, bins, frames) of the mean of both channels, what the content encoders see."""
        return spectra.mean(dim=1).abs()

    def cross(self, spectra: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Cross-spectrum over the root of its magnitude, real and imaginary, and that root; each (N, bins, frames)."""
        cross = spectra[:, 0] * spectra[:, 1].conj()
        weight = cross.abs().sqrt()
        floor = weight.clamp_min(1e-9)
        return cross.real / floor, cross.imag / floor, weight

    def agreement(self, real: torch.Tensor, imaginary: torch.Tensor) -> torch.Tensor:
        """Weighted cosine between observed and expected phase difference, (N, bins, frames) -> (N, K, bins, frames)."""
        return self.cosine[:, :, None] * real[:, None] - self.sine[:, :, None] * imaginary[:, None]

    def steer(self, real: torch.Tensor, imaginary: torch.Tensor) -> torch.Tensor:
        """`to_mel(agreement(...))` as one product, (N, bins, frames) -> (N, K, frames, mel bands)."""
        table = torch.cat([self.cosine, -self.sine], dim=1)[..., None] * self.bands.repeat(2, 1)  # (K, 2 bins, mel)
        both = torch.cat([real, imaginary], dim=1).transpose(1, 2)  # (N, frames, 2 bins)
        return (both @ table.transpose(0, 1).flatten(1)).unflatten(2, (len(table), -1)).transpose(1, 2)


def delays_of(azimuths: torch.Tensor, spacing: float) -> torch.Tensor:
    """Azimuths in degrees -> seconds by which the left of two microphones, `spacing` m apart, is ahead."""
    return -spacing * torch.deg2rad(azimuths).sin() / SPEED_OF_SOUND


class FixedMasks(nn.Module):
    """Masks by formula, nothing to learn: softmax over the directions of `sharpness` times the cosine between
    observed and expected phase difference, the cosine smoothed over 11 bins and 5 frames, weighted by magnitude.

    Args: spacing, m, between the microphones; sharpness, factor on the cosine.
    """

    pretraining = None

    def __init__(self, spacing: float = 0.17, sharpness: float = 8.0):
        super().__init__()
        width = 180 / DIRECTION_COUNT
        centers = torch.arange(DIRECTION_COUNT) * width - 90 + width / 2
        self.front, self.sharpness = SteeredSpectrum(delays_of(centers, spacing)), sharpness

    def forward(self, stereo: torch.Tensor) -> torch.Tensor:
        """(N, 2, T) -> (N, directions, frames, mel bands), summing to one over directions."""
        spectra = self.front.spectra(stereo)
        real, imaginary, weight = self.front.cross(spectra)
        steered, weight = (
            F.avg_pool2d(x, (11, 5), 1, (5, 2), count_include_pad=False)
            for x in (self.front.agreement(real, imaginary), weight[:, None])
        )
        masks = (self.sharpness * steered / weight.clamp_min(1e-9)).softmax(dim=1)
        magnitude = self.front.magnitude(spectra)[:, None] + 1e-9
        return self.front.to_mel(masks * magnitude) / self.front.to_mel(magnitude)


class LearnedMasks(nn.Module):
    """Masks by a small network that sees steered cosines per mel band and the level every 20 ms, pre-trained on ideal
    ratio masks of simulated scenes (location-based training: an output per direction, not per speaker).

    A convolution at full resolution, three that halve the bands and a BiGRU at 40 ms for what the whole recording
    says about where sources are.

    Args: looks, number of delays between +-max_delay; max_delay, s; channels, hidden: sizes.
    """

    pretraining = "masks"
    POOL = 2  # frames a step of the network, and steps a step of its GRU

    def __init__(self, looks: int = 9, max_delay: float = 5.0e-4, channels: int = 24, hidden: int = 96):
        super().__init__()
        self.front = SteeredSpectrum(torch.linspace(max_delay, -max_delay, looks))

        def block(inputs: int, stride: int) -> nn.Sequential:
            conv = nn.Conv2d(inputs, channels, 3, (1, stride), padding=1)
            return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU())

        self.fine = block(looks + 1, 1)
        self.coarse = nn.Sequential(*(block(channels, 2) for _ in range(3)))
        self.middle_linear = nn.Linear(channels * MEL_BANDS // 8, hidden)
        self.gru = nn.GRU(hidden, hidden, batch_first=True, bidirectional=True)
        self.spread = nn.Linear(2 * hidden, 8 * MEL_BANDS)
        self.out = nn.Sequential(
            nn.Conv2d(channels + 8, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, DIRECTION_COUNT, 1)
        )

    def inputs(self, spectra: torch.Tensor) -> torch.Tensor:
        """(N, 2, bins, frames) -> (N, looks + 1, steps, mel bands): cosines in [-1, 1], and the scaled log level."""
        real, imaginary, weight = (F.avg_pool1d(x, self.POOL, ceil_mode=True) for x in self.front.cross(spectra))
        level = self.front.to_mel(weight)[:, None]
        steered = self.front.steer(real, imaginary) / level.clamp_min(1e-6)
        return torch.cat([steered, (level + 1e-3).log() / 2 + 1], dim=1)

    def logits(self, spectra: torch.Tensor) -> torch.Tensor:
        """(N, 2, bins, frames) -> (N, directions, frames, mel bands)."""
        with torch.autocast(spectra.device.type, enabled=False):  # phases need more than 8 bits
            inputs = self.inputs(spectra).contiguous(memory_format=torch.channels_last)  # faster on CPU
        fine = self.fine(inputs)
        steps = F.avg_pool2d(self.coarse(fine), (self.POOL, 1), ceil_mode=True)
        states, _ = self.gru(self.middle_linear(steps.transpose(1, 2).flatten(2)))
        states = self.spread(states).unflatten(2, (8, MEL_BANDS)).transpose(1, 2)
        states = self._stretched(states)[:, :, : fine.shape[2]]
        logits = self.out(torch.cat([fine, states], dim=1))
        return self._stretched(logits)[:, :, : spectra.shape[3]]

    def _stretched(self, maps: torch.Tensor) -> torch.Tensor:
        """(N, C, steps, bands) -> (N, C, 2 steps, bands), each step twice; its gradient is faster than that of
        repeat_interleave."""
        return maps.unsqueeze(3).expand(-1, -1, -1, self.POOL, -1).flatten(2, 3)

    def forward(self, stereo: torch.Tensor) -> torch.Tensor:
        """(N, 2, T) -> (N, directions, frames, mel bands), summing to one over directions."""
        with torch.autocast(stereo.device.type, enabled=False):
            spectra = self.front.spectra(stereo)
        return self.logits(spectra).float().softmax(dim=1)


def mask_loss(logits: torch.Tensor, magnitudes: torch.Tensor) -> torch.Tensor:
    """Divergence of predicted from ideal ratio masks, each cell weighted by the root of its magnitude.

    Args: logits, magnitudes (N, directions, frames, mel bands); `magnitudes` of what comes from each direction.
    """
    total = magnitudes.sum(dim=1, keepdim=True)
    ideal = magnitudes / total.clamp_min(1e-6)
    divergence = F.kl_div(logits.log_softmax(dim=1), ideal, reduction="none").sum(dim=1, keepdim=True)
    weight = total.sqrt()
    return (weight * divergence).sum() / weight.sum().clamp_min(1e-6)
