"""Content-aware spatial encoder (CA-SE), PAPER section "The system"."""

import torch
from torch import nn

from spclap.model.features import StereoMaps


class ContentAwareSpatialEncoder(nn.Module):
    """3 x [Conv 3x3, ReLU, BatchNorm, MaxPool (1 time, 2 freq)] -> Linear -> 2-layer BiGRU -> mean over time.

    With `input: {kind: magnitude_phase}` and the default sizes this is the paper's encoder: 4 maps of 512
    bins, 64 channels, Linear 4096 -> 128, GRU 128 per direction, output 256.
    """

    pretraining = "seld"  # the task in which it learns first

    def __init__(self, input: dict | None = None, channels: int = 64, hidden: int = 128):
        super().__init__()
        self.maps = StereoMaps(**(input or {}))
        blocks, previous = [], self.maps.channels
        for _ in range(3):
            blocks += [
                nn.Conv2d(previous, channels, 3, padding=1),
                nn.ReLU(),
                nn.BatchNorm2d(channels),
                nn.MaxPool2d((1, 2)),
            ]
            previous = channels
        self.cnn = nn.Sequential(*blocks).to(memory_format=torch.channels_last)  # a third faster on CPU
        self.middle_linear = nn.Linear(channels * (self.maps.bins // 8), hidden)
        self.gru = nn.GRU(hidden, hidden, num_layers=2, batch_first=True, bidirectional=True)
        self.dim = 2 * hidden

    def frames(self, stereo: torch.Tensor) -> torch.Tensor:
        """(N, 2, T) at the recipe's sample rate -> (N, frames, dim)."""
        assert stereo.ndim == 3 and stereo.shape[1] == 2, f"expected (N, 2, T), got {tuple(stereo.shape)}"
        maps = self.cnn(self.maps(stereo).contiguous(memory_format=torch.channels_last))
        return self.gru(self.middle_linear(maps.transpose(1, 2).flatten(2)))[0]

    def forward(self, stereo: torch.Tensor) -> torch.Tensor:
        """(N, 2, T) at the recipe's sample rate -> (N, dim)."""
        return self.frames(stereo).mean(dim=1)


class NoSpace(nn.Module):
    """Hears no places: the monaural baseline (PAPER, Table 1)."""

    dim = 0
    pretraining = None
