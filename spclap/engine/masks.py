"""Pre-training of the masks of directions on ideal ratio masks."""

import argparse
from collections.abc import Iterable

import torch

from spclap.engine.batches import Batch
from spclap.engine.precision import kinds_in_bfloat16
from spclap.engine.scene_model import SceneModel
from spclap.engine.scene_task import SceneTask
from spclap.model.direction_masks import LearnedMasks, mask_loss
from spclap.model.features import level_factor
from spclap.model.loss import gather
from spclap.scene.recorder import record
from spclap.scene.spatialize import spatialize


class MaskTraining(SceneModel):
    """Learns which part of the spectrum comes from which direction."""

    def __init__(self, spatial_encoder: LearnedMasks, kinds: tuple[str, ...] = ()):
        super().__init__(kinds)
        self.spatial_encoder = spatial_encoder

    def loss(self, batch: Batch) -> torch.Tensor:
        """Over all ranks."""
        spectra, alone, rows = self.spectra(batch)
        with self.autocast("maps"):
            logits = self.spatial_encoder.logits(spectra, batch.arrays)
        front, directions = self.spatial_encoder.front, [direction for item in batch.clauses for _, direction in item]
        magnitudes = torch.zeros_like(logits, dtype=torch.float32)
        magnitudes[rows, directions] = front.to_mel(front.magnitude(alone))  # no two sources at one direction
        return mask_loss(gather(logits.float()), gather(magnitudes))

    @torch.no_grad()
    def spectra(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Of N recordings of one level and of their K sources alone, (.., 2, frames, bins), and the recording of each
        (K,).

        A mixture is the sum of its sources, so each is convolved once.
        """
        dry, rirs, pairs = batch.sound
        rows, places = (pairs[..., 0] >= 0).nonzero(as_tuple=True)
        alone = spatialize(dry, rirs, pairs[rows, places][:, None])
        stereo = record(alone.new_zeros(len(batch), *alone.shape[1:]).index_add(0, rows, alone), batch.recorders)
        factor, spectra = level_factor(stereo), self.spatial_encoder.front.spectra
        return spectra(factor * stereo), spectra(factor[rows] * alone), rows

    def losses(self, batch: Batch) -> tuple[torch.Tensor, dict, int]:
        return self.loss(batch), {}, len(batch)

    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Mean loss over scenes; `score` is minus that."""
        total, count = 0.0, 0
        for batch in batches:
            total += float(self.loss(batch.to(self.device))) * len(batch)
            count += len(batch)
        return {"loss": total / count, "score": -total / count}


class MaskTask(SceneTask):
    """Masks of directions."""

    pretrains = "spatial_encoder"

    @classmethod
    def new_model(cls, args: argparse.Namespace) -> MaskTraining:
        return MaskTraining(cls.spatial_encoder(args, "masks"), kinds_in_bfloat16(args))
