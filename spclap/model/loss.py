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
    audio: torch.Tensor, text: torch.Tensor, meanings: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """Mean of the audio-to-text and text-to-audio cross-entropies.

    Args: audio, text (N, D) of unit length, row n belongs to row n; meanings (N, K) integer: rows that
    are equal in a column (same sounds or same words at the same places) are not counted as negatives of each other;
    scale () on the cosines.
    """
    logits = scale * audio @ text.T
    same = (meanings[:, None] == meanings[None, :]).any(dim=-1)
    same.fill_diagonal_(False)
    logits = logits.masked_fill(same, float("-inf"))
    target = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
