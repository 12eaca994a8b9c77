"""Spatial-CLAP: content encoder, spatial encoder and their fusion beside a text encoder."""

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from spclap.errors import DataError
from spclap.model.blocks import TEXT_HEADS, ContentBlocks
from spclap.model.content_encoder import CONTENT_ENCODERS
from spclap.model.direction_masks import FixedMasks, LearnedMasks
from spclap.model.features import joint_level
from spclap.model.fusion import FUSIONS
from spclap.model.spatial_encoder import ContentAwareSpatialEncoder, NoSpace
from spclap.model.text_encoder import TEXT_ENCODERS
from spclap.space.array import Array, array_of


def part(registry: dict, kind: str, conf: dict | None, *ends) -> nn.Module:
    """Build one part, for `ends`, that a YAML names; DataError names the key or value that the part refuses."""
    if kind not in registry:
        raise DataError(f"`{kind}` is not one of {', '.join(registry)}")
    return build(kind, registry[kind], conf or {}, *ends)


def build(name: str, part_class: type[nn.Module], conf: dict, *ends) -> nn.Module:
    """`part_class(*ends, **conf)`; DataError names the key or value that it refuses."""
    try:
        return part_class(*ends, **conf)
    except (TypeError, ValueError) as error:
        raise DataError(f"options of `{name}`: {error}") from error


SPATIAL_ENCODERS = {
    "ca_se": ContentAwareSpatialEncoder, "masks": LearnedMasks, "fixed_masks": FixedMasks, "none": NoSpace
}  # fmt: skip


class SpatialClap(nn.Module):
    """Audio and text vectors of unit length in one space.

    Args: kinds and options of the parts, as in conf/model/default.yaml; `fusion` makes the audio vector of what content
    and spatial encoder hear, `text_head` the text vector of what the text encoder reads; `dim` of the space (paper:
    512); `equal_level`, whether recordings are brought to one level first, both channels together; `array`, what hears
    where nothing else is said; `frozen`, names of parts that training leaves as they are, batch normalisation included.
    DataError for values that do not fit.
    """

    def __init__(
        self,
        content_encoder: str = "yamnet",
        content_encoder_conf: dict | None = None,
        spatial_encoder: str = "ca_se",
        spatial_encoder_conf: dict | None = None,
        fusion: str = "concat",
        fusion_conf: dict | None = None,
        text_encoder: str = "hf",
        text_encoder_conf: dict | None = None,
        text_head: str = "pooled",
        dim: int = 512,
        equal_level: bool = True,
        array: str = "pair:0.17",
        frozen: Sequence[str] = (),
    ):
        super().__init__()
        self.dim, self.equal_level, self.array = dim, equal_level, array_of(array)
        self.hears = {  # all that `hear` depends on, but for weights
            "content_encoder": [content_encoder, content_encoder_conf], "equal_level": equal_level,
            "spatial_encoder": [spatial_encoder, spatial_encoder_conf], "fusion": [fusion, fusion_conf],
        }  # fmt: skip
        self.content_encoder = part(CONTENT_ENCODERS, content_encoder, content_encoder_conf)
        self.spatial_encoder = part(SPATIAL_ENCODERS, spatial_encoder, spatial_encoder_conf)
        self.text_encoder = part(TEXT_ENCODERS, text_encoder, text_encoder_conf)
        fitting = getattr(FUSIONS.get(fusion), "spatial_encoders", (spatial_encoder,))
        if spatial_encoder not in fitting:
            needed = " or ".join(fitting)
            raise DataError(f"fusion `{fusion}` needs the spatial_encoder {needed}, not `{spatial_encoder}`")
        self.fusion = part(FUSIONS, fusion, fusion_conf, self.content_encoder, self.spatial_encoder, dim)
        self.text_head = part(TEXT_HEADS, text_head, None, self.text_encoder.dim, dim)
        if self.text_head.reads_tokens and getattr(self.text_encoder, "pooling", "mean") != "mean":
            raise DataError(
                f"text_head {text_head} reads tokens, not the {self.text_encoder.pooling}; set pooling: mean"
            )
        if getattr(self.fusion, "halves", False) != self.text_head.halves:
            raise DataError(f"fusion {fusion} and text_head {text_head}: structured goes with structured")
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

    @property
    def hears_once(self) -> bool:
        """Whether nothing that hears is trained, so that a recording sounds the same to it for ever."""
        return not any(weight.requires_grad for part in self.hearing for weight in part.parameters())

    @property
    def hearing(self) -> tuple[nn.Module, nn.Module]:
        """The parts whose weights `hear` depends on."""
        return self.content_encoder, self.spatial_encoder

    @property
    def told(self) -> bool:
        """Whether it matters to the model through which array it hears."""
        return isinstance(self.spatial_encoder, LearnedMasks | FixedMasks)

    @property
    def has_blocks(self) -> bool:
        """Whether a vector is made of a block for each direction."""
        return isinstance(getattr(self.fusion, "blocks", None), ContentBlocks)

    def hear(self, stereo: torch.Tensor, arrays: Sequence[Array] = ()) -> tuple[torch.Tensor, ...]:
        """(N, 2, T), heard by `arrays`, that of each or one for all -> what the encoders hear, tensors (N, ...)."""
        stereo = joint_level(stereo) if self.equal_level else stereo
        return self.fusion.hear(self.content_encoder, self.spatial_encoder, stereo, arrays or [self.array])

    def join(self, heard: Sequence[torch.Tensor]) -> torch.Tensor:
        """What was heard -> (N, dim) of unit length."""
        return F.normalize(self.fusion(*heard), dim=1)

    def embed_audio(self, stereo: torch.Tensor, arrays: Sequence[Array] = ()) -> torch.Tensor:
        """(N, 2, T), heard by `arrays`, that of each or one for all -> (N, dim) of unit length."""
        return self.join(self.hear(stereo, arrays))

    def text_vectors(self, ids: torch.Tensor) -> torch.Tensor:
        """Token ids (N, L) -> (N, dim) of any length."""
        return self.text_head(self.text_encoder, ids)

    def embed_text(self, ids: torch.Tensor) -> torch.Tensor:
        """Token ids (N, L) -> (N, dim) of unit length."""
        return F.normalize(self.text_vectors(ids), dim=1)

    def scale(self) -> torch.Tensor:
        """Factor on cosine similarities, at most 100 as in CLIP."""
        return self.logit_scale.clamp(max=math.log(100)).exp()
