"""Time-frequency maps of stereo recordings, the input of spatial encoders.

`magnitude_phase` is the paper's input: magnitude and phase of both channels. `phase_difference` holds
what is the same in every recording of a place: log magnitude, level difference, cosine and sine of the
phase difference.
"""

import torch
from torch import nn

KINDS = ("magnitude_phase", "phase_difference")


class StereoMaps(nn.Module):
    """STFT of both channels -> 4 maps.

    Args:
        kind: one of KINDS. n_fft, hop: samples. bins: lowest `bins` of the n_fft // 2 + 1 frequencies are
            kept. statistics: whether maps are normalised with what stage 2 measured (the paper's are not). Raises
            ValueError for values that do not fit.
    """

    channels = 4

    def __init__(
        self, kind: str = "phase_difference", n_fft: int = 1024, hop: int = 512, bins: int = 512,
        statistics: bool = True,
    ):  # fmt: skip
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"spatial input `{kind}` is not one of {', '.join(KINDS)}")
        if not 8 <= bins <= n_fft // 2 + 1:
            raise ValueError(f"bins {bins} is outside [8, {n_fft // 2 + 1}]")
        self.kind, self.n_fft, self.hop, self.bins, self.statistics = kind, n_fft, hop, bins, statistics
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        self.register_buffer("mean", torch.zeros(self.channels, 1, bins))
        self.register_buffer("std", torch.ones(self.channels, 1, bins))

    def maps(self, stereo: torch.Tensor) -> torch.Tensor:
        """(N, 2, T) -> (N, 4, frames, bins), not normalised."""
        count, _, samples = stereo.shape
        spectrum = torch.stft(
            stereo.reshape(2 * count, samples), self.n_fft, self.hop, window=self.window, return_complex=True
        )
        spectrum = spectrum[:, : self.bins].transpose(1, 2).reshape(count, 2, -1, self.bins)
        magnitude = spectrum.abs()
        if self.kind == "magnitude_phase":
            return torch.cat([magnitude, spectrum.angle()], dim=1)
        log_left, log_right = (magnitude + 1e-4).log().unbind(1)
        cross = spectrum[:, 0] * spectrum[:, 1].conj()
        direction = cross / (cross.abs() + 1e-8)
        return torch.stack([(log_left + log_right) / 2, log_left - log_right, direction.real, direction.imag], dim=1)

    def set_statistics(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        """Normalise with these from now on; both (4, bins), from stage 2. ValueError on another shape."""
        if mean.shape != (self.channels, self.bins) or std.shape != mean.shape:
            raise ValueError(
                f"statistics {tuple(mean.shape)} do not fit the input ({self.channels}, {self.bins}); rerun stage 2"
            )
        self.mean.copy_(mean[:, None])
        self.std.copy_(std[:, None].clamp_min(1e-3))

    def forward(self, stereo: torch.Tensor) -> torch.Tensor:
        """(N, 2, T) -> (N, 4, frames, bins), normalised per map and bin."""
        return (self.maps(stereo) - self.mean) / self.std


def level_factor(stereo: torch.Tensor, rms: float = 0.1) -> torch.Tensor:
    """(N, 2, T) -> (N, 1, 1), the factor that gives each recording one root mean square over both channels together."""
    return rms / stereo.square().mean(dim=(1, 2), keepdim=True).sqrt().clamp_min(1e-6)


def joint_level(stereo: torch.Tensor) -> torch.Tensor:
    """Recordings (N, 2, T) of one level, whatever theirs was."""
    return stereo * level_factor(stereo)
