"""Sound event localization and detection (SELD), the pre-training of the spatial encoder.

Loss of the paper's follow-up: binary cross-entropy on events (positive weight 5) plus 10 x (1 - cosine) on the
azimuth vectors of the active classes; ours adds those of all classes where one source sounds alone. The head reads the
pooled vector that Spatial-CLAP uses, so that this vector learns which class is where.
"""

import torch
from torch import nn
from torch.nn import functional as F

from spclap.model.features import joint_level
from spclap.model.spatial_encoder import ContentAwareSpatialEncoder

POSITIVE_WEIGHT = 5.0
DIRECTION_WEIGHT = 10.0


class Seld(nn.Module):
    """Spatial encoder with an event and an azimuth head for `classes` kinds of sound.

    Args: equal_level, whether recordings are brought to one level first, as in the model that it is pre-trained for.
    """

    def __init__(self, spatial_encoder: ContentAwareSpatialEncoder, classes: int, equal_level: bool = True):
        super().__init__()
        self.classes, self.equal_level, self.spatial_encoder = classes, equal_level, spatial_encoder
        self.head = nn.Linear(self.spatial_encoder.dim, 3 * classes)

    def forward(self, stereo: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, 2, T) -> activity logits (N, C), azimuth vectors (N, C, 2) as (cos, sin), any length."""
        out = self.head(self.spatial_encoder(joint_level(stereo) if self.equal_level else stereo))
        return out[:, : self.classes], out[:, self.classes :].unflatten(1, (self.classes, 2))


def seld_loss(
    activity: torch.Tensor, vectors: torch.Tensor, active: torch.Tensor, azimuth: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Event and direction losses.

    Args: activity (N, C) logits; vectors (N, C, 2); active (N, C) 0 or 1; azimuth (N, C) degrees, NaN where a
    class need not point anywhere. Returns: (), ().
    """
    weight = torch.tensor(POSITIVE_WEIGHT, device=activity.device)
    event = F.binary_cross_entropy_with_logits(activity, active, pos_weight=weight)
    placed = azimuth.isfinite()
    radians = torch.deg2rad(azimuth.nan_to_num())
    truth = torch.stack([radians.cos(), radians.sin()], dim=-1)
    cosine = F.cosine_similarity(vectors, truth, dim=-1)
    direction = ((1 - cosine) * placed).sum() / placed.sum().clamp_min(1)
    return event, DIRECTION_WEIGHT * direction
