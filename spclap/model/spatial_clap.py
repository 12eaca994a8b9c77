"""Spatial-CLAP: monaural content encoder and content-aware spatial encoder beside a text encoder."""

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from spclap.errors import DataError
from spclap.model.content_encoder import CONTENT_ENCODERS
from spclap.model.features import joint_level
from spclap.model.spatial_encoder import ContentAwareSpatialEncoder
from spclap.model.text_encoder import TEXT_ENCODERS


def part(registry: dict, kind: str, conf: dict) -> nn.Module:
    """Build one part that a YAML names; DataError names the key or value that the part refuses."""
    if kind not in registry:
        raise DataError(f"`{kind}` is not one of {', '.join(registry)}")
    return build(kind, registry[kind], conf)


def build(name: str, part_class: type[nn.Module], conf: dict) -> nn.Module:
    """`part_class(**conf)`; DataError names the key or value that it refuses."""
    try:
        return part_class(**conf)
    except (TypeError, ValueError) as error:
        raise DataError(f"options of `{name}`: {error}") from error


def projection(inputs: int, outputs: int) -> nn.Sequential:
    """Linear -> ReLU -> Linear, as in the paper."""
    return nn.Sequential(nn.Linear(inputs, outputs), nn.ReLU(), nn.Linear(outputs, outputs))


class SpatialClap(nn.Module):
    """Audio and text vectors of unit length in one space.

    Args: kinds and options of the parts, as in conf/train_scl.yaml; `dim` of the space (paper: 512); `frozen`,
    names of parts that training leaves as they are, batch normalisation included. DataError for values that do not
    fit.
    """

    def __init__(
        self,
        content_encoder: str = "yamnet",
        content_encoder_conf: dict | None = None,
        spatial_encoder_conf: dict | None = None,
        text_encoder: str = "hf",
        text_encoder_conf: dict | None = None,
        dim: int = 512,
        frozen: Sequence[str] = (),
    ):
        super().__init__()
        self.content_encoder = part(CONTENT_ENCODERS, content_encoder, content_encoder_conf or {})
        self.spatial_encoder = build("ca-se", ContentAwareSpatialEncoder, spatial_encoder_conf or {})
        self.text_encoder = part(TEXT_ENCODERS, text_encoder, text_encoder_conf or {})
        self.content_norm = nn.LayerNorm(self.content_encoder.dim)
        self.spatial_norm = nn.LayerNorm(self.spatial_encoder.dim)
        self.audio_projection = projection(self.content_encoder.dim + self.spatial_encoder.dim, dim)
        self.text_projection = projection(self.text_encoder.dim, dim)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        if isinstance(frozen, str):
            raise DataError(f"frozen is `{frozen}`; write a list, such as [{frozen}]")
        self.frozen = tuple(frozen)
        for name in self.frozen:
            if name not in dict(self.named_children()):
                raise DataError(f"frozen: the model has no part `{name}`")
            getattr(self, name).requires_grad_(False)

    def train(self, mode: bool = True) -> "SpatialClap":
        super().train(mode)
        for name in self.frozen:
            getattr(self, name).eval()
        return self

    def content(self, stereo: torch.Tensor) -> torch.Tensor:
        """(N, 2, T) -> (N, content dim): the content encoder on the mean of both channels."""
        return self.content_encoder(joint_level(stereo).mean(dim=1))

    def embed_audio(self, stereo: torch.Tensor, content: torch.Tensor | None = None) -> torch.Tensor:
        """(N, 2, T) -> (N, dim) of unit length. `content` (N, content dim) if it was extracted before."""
        content = self.content(stereo) if content is None else content
        spatial = self.spatial_encoder(joint_level(stereo))
        both = torch.cat([self.content_norm(content), self.spatial_norm(spatial)], dim=1)
        return F.normalize(self.audio_projection(both), dim=1)

    def embed_text(self, ids: torch.Tensor) -> torch.Tensor:
        """Token ids (N, L) -> (N, dim) of unit length."""
        return F.normalize(self.text_projection(self.text_encoder(ids)), dim=1)

    def scale(self) -> torch.Tensor:
        """Factor on cosine similarities, at most 100 as in CLIP."""
        return self.logit_scale.clamp(max=math.log(100)).exp()
