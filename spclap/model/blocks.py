"""A space that binds by construction: one block of dimensions per direction, filled with what sounds there.

The cosine of two such vectors is a sum over directions, so exchanging two sounds changes it, and content learned at
one direction holds at all of them because all blocks share one projection.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from spclap.model.class_scores import ChosenClasses, ClassScores
from spclap.space.directions import DIRECTIONS

DIRECTION_COUNT = len(DIRECTIONS)


def energies(vectors: np.ndarray) -> np.ndarray:
    """(N, dim) of unit length -> (N, directions), the share of each block: near 0 where nothing sounds."""
    return np.square(vectors.reshape(len(vectors), DIRECTION_COUNT, -1)).sum(axis=2)


def projection(inputs: int, outputs: int, hidden: int | None = None) -> nn.Sequential:
    """Linear -> ReLU -> Linear, as in the paper, whose hidden size is that of the output."""
    hidden = hidden or outputs
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


def block_size(dim: int) -> int:
    """Dimensions of a direction's block; ValueError unless they fill `dim`."""
    if dim % DIRECTION_COUNT:
        raise ValueError(f"dim is {dim}; blocks of {DIRECTION_COUNT} directions need a multiple of {DIRECTION_COUNT}")
    return dim // DIRECTION_COUNT


class ContentBlocks(nn.Module):
    """Content heard per direction -> vector; how much of the energy comes from there scales its block.

    Args: inputs, dimensions of the content; dim of the vector, ValueError unless five directions can share it; classes,
    scores of what it is called, beside the content.
    """

    def __init__(self, inputs: int, dim: int, classes: ClassScores | None = None):
        super().__init__()
        self.classes, self.norm = classes, nn.LayerNorm(inputs)
        self.projection = projection(inputs + (classes.count if classes else 0) + 1, block_size(dim), dim)
        self.called = classes.vectors(block_size(dim)) if classes else None
        self.gate = projection(1, 1, 16)

    def forward(self, content: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
        """(N, directions, inputs) and shares of the energy (N, directions) -> (N, dim)."""
        level = (share + 1e-4).log().unsqueeze(-1)
        scores = self.classes(content) if self.classes else content[..., :0]
        blocks = self.projection(torch.cat([self.norm(content), scores, level], dim=-1))
        if self.classes:
            blocks = blocks + self.called(F.normalize(scores, dim=-1))
        return (blocks * F.softplus(self.gate(level))).flatten(1)


class TextHead(nn.Module):
    """What the text encoder reads -> (N, dim)."""

    reads_tokens = False  # rather than what the encoder pools
    halves = False  # whether the space is a half of content and one of directions


class PooledText(TextHead):
    """The paper's text side: pooled states -> Linear -> ReLU -> Linear."""

    def __init__(self, inputs: int, dim: int):
        super().__init__()
        self.projection = projection(inputs, dim)

    def forward(self, encoder: nn.Module, ids: torch.Tensor) -> torch.Tensor:
        """Token ids (N, L) -> (N, dim)."""
        return self.projection(encoder(ids))


def halves(content: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
    """(N, D / 2) twice -> (N, D): each half of unit length, so a cosine is the mean of theirs."""
    return torch.cat([F.normalize(content, dim=1), F.normalize(direction, dim=1)], dim=1)


class StructuredText(TextHead):
    """Pooled states, projected to a content half and a direction half (PAPER, Table 1, "Structured")."""

    halves = True

    def __init__(self, inputs: int, dim: int):
        super().__init__()
        self.content, self.direction = projection(inputs, dim // 2), projection(inputs, dim // 2)

    def forward(self, encoder: nn.Module, ids: torch.Tensor) -> torch.Tensor:
        """Token ids (N, L) -> (N, dim)."""
        pooled = encoder(ids)
        return halves(self.content(pooled), self.direction(pooled))


class DirectionQueries(TextHead):
    """A learned query per direction attends to the tokens of a caption, or to a learned state where nothing is said
    of that direction; one projection for all makes the blocks."""

    reads_tokens = True

    def __init__(self, inputs: int, dim: int):
        super().__init__()
        self.queries = nn.Parameter(torch.randn(DIRECTION_COUNT, inputs) * 0.05)
        self.key = nn.Linear(inputs, inputs)
        self.nothing = nn.Parameter(torch.zeros(inputs))
        self.projection = projection(inputs, block_size(dim), dim)

    def forward(self, encoder: nn.Module, ids: torch.Tensor) -> torch.Tensor:
        """Token ids (N, L) -> (N, dim)."""
        states, mask = encoder.states(ids)
        states = torch.cat([self.nothing.expand(len(states), 1, -1).to(states.dtype), states], dim=1)
        mask = F.pad(mask, (1, 0), value=1)
        scores = self.queries @ self.key(states).transpose(1, 2)
        weights = scores.masked_fill(mask[:, None] == 0, float("-inf")).softmax(dim=-1)
        return self.projection(weights.to(states.dtype) @ states).flatten(1)


TEXT_HEADS = {"pooled": PooledText, "structured": StructuredText, "queries": DirectionQueries}


class ClauseTargets(nn.Module):
    """Vectors that text and audio of a scene should both have, made from its sources apart (training only).

    Telling a scene from its swap is a saddle: audio has no gradient for it before text tells the two captions apart,
    and the other way round. Simulated scenes know their parts: each source's caption without a place, projected, is
    put into the block of its direction. These vectors tell scene and swap apart from the first step on. One whose
    place is not said is put into all blocks, with the same length in all. `called`, if the audio has class scores.
    """

    def __init__(self, inputs: int, dim: int, called: ChosenClasses | None = None):
        super().__init__()
        self.projection, self.called = projection(inputs, block_size(dim), dim), called

    def forward(self, contents: torch.Tensor, items: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Pooled captions of sources (K, inputs), items (K,) they belong to, how much of each is put where (K,
        directions) -> (N, dim)."""
        told = self.projection(contents) + (self.called(contents) if self.called else 0)
        blocks = places.unsqueeze(2) * told.unsqueeze(1)
        return blocks.new_zeros(int(items.max()) + 1, *blocks.shape[1:]).index_add(0, items, blocks).flatten(1)


def places_of(directions: Sequence[int | None]) -> torch.Tensor:
    """(K, directions), for `ClauseTargets`: 1 at a direction, even over all for None."""
    everywhere = torch.full((DIRECTION_COUNT,), DIRECTION_COUNT**-0.5)
    ones = torch.eye(DIRECTION_COUNT)
    return torch.stack([everywhere if direction is None else ones[direction] for direction in directions])


def distance(vectors: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean over rows of 1 - cosine plus the squared logarithm of the ratio of lengths; (N, D), (N, D) -> ()."""
    ratio = vectors.norm(dim=1).log() - targets.norm(dim=1).log()
    return (1 - F.cosine_similarity(vectors, targets) + ratio.square()).mean()
