"""The paper's fusion: pooled content beside pooled space."""

import torch
from torch import nn

from spclap.model.blocks import projection
from spclap.model.spatial_encoder import ContentAwareSpatialEncoder


class Concat(nn.Module):
    """Both vectors, concatenated, then Linear -> ReLU -> Linear (PAPER, "The system").

    Args: normalise, a layer normalisation of each vector before, which the paper does not have.
    """

    spatial_encoders = ("ca_se",)

    def __init__(
        self, content_encoder: nn.Module, spatial_encoder: ContentAwareSpatialEncoder, dim: int, normalise: bool = True
    ):  # fmt: skip
        super().__init__()
        self.content_norm = nn.LayerNorm(content_encoder.dim) if normalise else nn.Identity()
        self.spatial_norm = nn.LayerNorm(spatial_encoder.dim) if normalise else nn.Identity()
        self.projection = projection(content_encoder.dim + spatial_encoder.dim, dim)

    def hear(self, content_encoder, spatial_encoder, stereo, arrays) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, 2, T) -> content (N, content dim) and space (N, spatial dim)."""
        return content_encoder(stereo.mean(dim=1)), spatial_encoder(stereo)

    def forward(self, content: torch.Tensor, spatial: torch.Tensor) -> torch.Tensor:
        return self.projection(torch.cat([self.content_norm(content), self.spatial_norm(spatial)], dim=1))
