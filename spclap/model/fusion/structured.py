"""A content embedding beside a direction embedding, the paper's structured baseline."""

import torch
from torch import nn

from spclap.model.blocks import halves, projection
from spclap.model.spatial_encoder import ContentAwareSpatialEncoder


class Structured(nn.Module):
    """Content and spatial vector are projected apart; each makes one half of the space (PAPER, Table 1)."""

    spatial_encoders = ("ca_se",)
    halves = True  # of the space, one for content and one for directions

    def __init__(self, content_encoder: nn.Module, spatial_encoder: ContentAwareSpatialEncoder, dim: int):
        super().__init__()
        self.content = nn.Sequential(nn.LayerNorm(content_encoder.dim), projection(content_encoder.dim, dim // 2))
        self.direction = nn.Sequential(nn.LayerNorm(spatial_encoder.dim), projection(spatial_encoder.dim, dim // 2))

    def hear(self, content_encoder, spatial_encoder, stereo, arrays) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, 2, T) -> content (N, content dim) and space (N, spatial dim)."""
        return content_encoder(stereo.mean(dim=1)), spatial_encoder(stereo)

    def forward(self, content: torch.Tensor, spatial: torch.Tensor) -> torch.Tensor:
        return halves(self.content(content), self.direction(spatial))
