"""Content per direction: the mixture's spectrum is split by masks, the content encoder hears each part."""

import torch
from torch import nn
from torch.nn import functional as F

from spclap.model.blocks import ContentBlocks
from spclap.model.class_scores import ClassScores
from spclap.model.content_encoder import ContentEncoder, require_maps


class Directions(nn.Module):
    """Masks of a spatial encoder -> content encoder per direction -> `ContentBlocks`.

    Args: depth, number of layers of the content encoder that hear the mixture once, before the masks; 0: the mel
    spectrum itself is masked, which costs a whole pass per direction; classes, whether blocks are made of what the
    content encoder calls a sound, too. Layers that are trained with batch statistics (content_encoder cnn) count one
    silent recording among those of a batch. ValueError for a content encoder without maps, or without classes where
    they are wanted, a depth that it does not have, and a dim that five directions cannot share.
    """

    spatial_encoders = ("masks", "fixed_masks")

    def __init__(
        self,
        content_encoder: ContentEncoder,
        spatial_encoder: nn.Module,
        dim: int,
        depth: int = 0,
        classes: bool = False,
    ):
        super().__init__()
        require_maps(content_encoder)
        if not isinstance(depth, int) or not 0 <= depth < len(content_encoder.layers):
            raise ValueError(f"depth is {depth}, the content encoder has {len(content_encoder.layers)} layers")
        called = ClassScores(*content_encoder.classifier()) if classes else None
        self.depth, self.blocks = depth, ContentBlocks(content_encoder.dim, dim, called)

    def hear(self, content_encoder, spatial_encoder, stereo, arrays) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, 2, T) -> content per direction (N, directions, content dim), shares of the energy (N, directions)."""
        masks, spectrum = spatial_encoder(stereo, arrays), content_encoder.spectrum(stereo.mean(dim=1))
        masked = masks * spectrum[:, None]
        energy = masked.square().sum(dim=(2, 3))
        levels = masked.square().sum(dim=3).sqrt().flatten(0, 1)
        if self.depth == 0:
            found = content_encoder.upper(content_encoder.lower(masked.flatten(0, 1), 0), 0, levels)
        else:
            found = content_encoder.upper(self.masked_maps(content_encoder, masks, spectrum), self.depth, levels)
        return found.unflatten(0, masks.shape[:2]), energy / energy.sum(dim=1, keepdim=True).clamp_min(1e-9)

    def forward(self, content: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
        return self.blocks(content, share)

    def masked_maps(self, content_encoder, masks, spectrum) -> torch.Tensor:
        """(N * directions, channels, frames, bands): where a mask is 0, the maps are those of silence."""
        both = content_encoder.lower(torch.cat([spectrum, torch.zeros_like(spectrum[:1])]), self.depth)
        maps, silence = both[:-1], both[-1:]
        masks = F.adaptive_avg_pool2d(masks, maps.shape[2:]).to(maps.dtype).unsqueeze(2)
        masked = silence[:, None] + masks * (maps - silence)[:, None]
        return masked.flatten(0, 1)
