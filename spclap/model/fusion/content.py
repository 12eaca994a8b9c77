"""Content alone, the paper's monaural baseline."""

import torch
from torch import nn

from spclap.model.blocks import projection
from spclap.model.spatial_encoder import NoSpace


class Content(nn.Module):
    """The content vector, then Linear -> ReLU -> Linear: `concat` without a spatial encoder (PAPER, Table 1)."""

    spatial_encoders = ("none",)

    def __init__(self, content_encoder: nn.Module, spatial_encoder: NoSpace, dim: int, normalise: bool = True):
        super().__init__()
        self.content_norm = nn.LayerNorm(content_encoder.dim) if normalise else nn.Identity()
        self.projection = projection(content_encoder.dim, dim)

    def hear(self, content_encoder, spatial_encoder, stereo, arrays) -> tuple[torch.Tensor]:
        """(N, 2, T) -> content (N, content dim)."""
        return (content_encoder(stereo.mean(dim=1)),)

    def forward(self, content: torch.Tensor) -> torch.Tensor:
        return self.projection(self.content_norm(content))
