"""Content maps and spatial frames fused in time, read by one learned query per direction."""

import torch
from torch import nn
from torch.nn import functional as F

from spclap.model.blocks import DIRECTION_COUNT, ContentBlocks
from spclap.model.content_encoder import ContentEncoder, require_maps
from spclap.model.spatial_encoder import ContentAwareSpatialEncoder


class Frames(nn.Module):
    """The content encoder's maps before pooling, each cell with the spatial frames of its time; the query of a
    direction weighs the cells, and how much weight it finds beside a learned empty cell is that direction's share.

    ValueError for a content encoder without maps and a dim that five directions cannot share.
    """

    spatial_encoders = ("ca_se",)

    def __init__(self, content_encoder: ContentEncoder, spatial_encoder: ContentAwareSpatialEncoder, dim: int):
        super().__init__()
        require_maps(content_encoder)
        both = content_encoder.dim + spatial_encoder.dim
        self.content_norm = nn.LayerNorm(content_encoder.dim)
        self.spatial_norm = nn.LayerNorm(spatial_encoder.dim)
        self.key = nn.Sequential(nn.Linear(both, dim), nn.ReLU())
        self.queries = nn.Parameter(torch.randn(DIRECTION_COUNT, dim) * dim**-0.5)
        self.empty = nn.Parameter(torch.zeros(DIRECTION_COUNT, 1))
        self.value = nn.Linear(both, content_encoder.dim)
        self.blocks = ContentBlocks(content_encoder.dim, dim)

    def hear(self, content_encoder, spatial_encoder, stereo, arrays) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, 2, T) -> content maps (N, C, steps, bands) and spatial frames (N, S, steps) of the same times."""
        maps = content_encoder.maps(content_encoder.spectrum(stereo.mean(dim=1)))
        return maps, F.adaptive_avg_pool1d(spatial_encoder.frames(stereo).transpose(1, 2), maps.shape[2])

    def forward(self, maps: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        frames = frames[..., None].expand(-1, -1, -1, maps.shape[3])
        cells = [
            self.content_norm(maps.flatten(2).transpose(1, 2)),
            self.spatial_norm(frames.flatten(2).transpose(1, 2)),
        ]
        cells = torch.cat(cells, dim=-1)  # (N, steps * bands, C + S)
        scores = self.queries @ self.key(cells).transpose(1, 2)
        empty = self.empty.expand(len(cells), -1, -1).to(scores.dtype)
        weights = torch.cat([scores, empty], dim=-1).softmax(dim=-1)[..., :-1]
        return self.blocks(weights.to(cells.dtype) @ self.value(cells), weights.sum(dim=-1).float())
