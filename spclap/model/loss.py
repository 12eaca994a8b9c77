"""Symmetric InfoNCE over all ranks. Spatial contrastive learning (SCL) is this loss on batches that hold
every scene with its permutations: each is a hard negative of the others (PAPER, "spatial contrastive learning")."""

import torch
from torch.distributed.nn.functional import all_gather
from torch.nn import functional as F


def gather(x: torch.Tensor) -> torch.Tensor:
    """Concatenate (N, ...) of all ranks, with gradient to every rank; x itself without ranks."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return x
    return torch.cat(all_gather(x))


def symmetric_info_nce(
    audio: torch.Tensor, text: torch.Tensor, fits: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """Mean of the audio-to-text and text-to-audio cross-entropies.

    Args: audio, text (N, D) of unit length, row n belongs to row n; fits (N, N) bool, whether text (columns) is true of
    audio (rows): what is true is not counted as a negative; scale () on the cosines.
    """
    others = fits & ~torch.eye(len(fits), dtype=torch.bool, device=fits.device)
    logits = (scale * audio @ text.T).masked_fill(others, float("-inf"))
    target = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
