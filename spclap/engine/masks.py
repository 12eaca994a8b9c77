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
from spclap.scene.spatialize import spatialize


class MaskTraining(SceneModel):
    """Learns which part of the spectrum comes from which direction."""

    def __init__(self, spatial_encoder: LearnedMasks, kinds: tuple[str, ...] = ()):
        super().__init__(kinds)
        self.spatial_encoder = spatial_encoder

    def loss(self, batch: Batch) -> torch.Tensor:
        """Over all ranks."""
        stereo, front = self.stereo(batch), self.spatial_encoder.front
        (dry, rirs, pairs), factor = batch.sound, level_factor(stereo)
        with self.autocast("maps"):
            logits = self.spatial_encoder.logits(factor * stereo)
        magnitudes = torch.zeros_like(logits, dtype=torch.float32)
        for place in range(pairs.shape[1]):
            alone = spatialize(dry, rirs, pairs[:, place : place + 1])
            heard = front.to_mel(front.magnitude(front.spectra(factor * alone)))
            present = [row for row, sources in enumerate(batch.clauses) if place < len(sources)]
            directions = [batch.clauses[row][place][1] for row in present]
            magnitudes[present, directions] += heard[present]
        return mask_loss(gather(logits.float()), gather(magnitudes))

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
