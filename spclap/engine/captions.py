"""Training of a caption decoder on the audio vectors of a frozen model."""

import argparse
from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import torch
from espnet2.utils.nested_dict_action import NestedDictAction

from spclap.engine.batches import Batch
from spclap.engine.clap import ClapModel, ClapTask, require_readable, with_tokenizer
from spclap.engine.precision import kinds_in_bfloat16
from spclap.errors import DataError
from spclap.evaluate.captioning import TextSimilarity
from spclap.evaluate.description import spatial_accuracy
from spclap.model.captioner import DECODERS, Captioner
from spclap.model.spatial_clap import SpatialClap
from spclap.scene.caption import from_left_to_right
from spclap.space.directions import DIRECTIONS


class CaptionTraining(ClapModel):
    """Nothing of `clap` learns."""

    def __init__(self, clap: SpatialClap, captioner: Captioner, kinds: tuple[str, ...] = ()):
        super().__init__(kinds)
        self.clap, self.captioner = clap.requires_grad_(False), captioner

    def train(self, mode: bool = True) -> "CaptionTraining":
        super().train(mode)
        self.clap.eval()
        return self

    def losses(self, batch: Batch) -> tuple[torch.Tensor, dict, int]:
        with torch.no_grad(), self.autocast("maps"):
            vectors = self.vectors(batch).float()
        captions = [from_left_to_right([(what, DIRECTIONS[i]) for what, i in item]) for item in batch.clauses]
        with self.autocast("words"):
            loss = self.captioner(vectors, captions)
        return loss, {}, sum(map(len, self.captioner.encode(captions)))  # tokens: what the mean is over, on each rank

    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Spatial description accuracy of greedy captions in percent; `score` is its mean over numbers of sources."""
        similarity, found = TextSimilarity(), defaultdict(list)
        for batch in batches:
            said = self.captioner.generate(self.vectors(batch.to(self.device)))
            for scene, caption in zip(batch.scenes, said, strict=True):
                sources = [(source.every_caption, source.direction) for source in scene.sources]
                found[scene.size].append(spatial_accuracy(sources, caption, similarity))
        stats = {f"spatial_accuracy_{size}src": 100 * float(np.mean(right)) for size, right in found.items()}
        return {**stats, "score": sum(stats.values()) / len(stats)}


class CaptionTask(ClapTask):
    """Spatial captioning: a decoder on the vectors of a trained model, whose arguments it shares."""

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        super().add_task_arguments(parser)
        group = parser.add_argument_group(description="Captioner")
        group.add_argument("--decoder", type=str, default="small")
        group.add_argument("--decoder_conf", action=NestedDictAction, default={})
        group.add_argument("--prefix", type=int, default=4, help="embeddings that an audio vector becomes")

    @classmethod
    def new_model(cls, args: argparse.Namespace) -> CaptionTraining:
        if args.permutations != 1:
            raise DataError(f"permutations is {args.permutations}; a captioner needs the true one alone, 1")
        clap = super().new_model(args).clap
        return CaptionTraining(clap, Captioner(clap.dim, **captioner_conf(args)), kinds_in_bfloat16(args))

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> CaptionTraining:
        model = super().build_model(args)
        require_readable(model.captioner.encode, args)
        return model


def captioner_conf(args: argparse.Namespace) -> dict:
    """Arguments of `Captioner` among those of a training."""
    conf = with_tokenizer(DECODERS, args.decoder, args.decoder_conf, args)
    return {"decoder": args.decoder, "decoder_conf": conf, "prefix": args.prefix}
