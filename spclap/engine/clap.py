"""Contrastive training of Spatial-CLAP: single-source baseline, multi-source, SCL."""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import replace
from inspect import signature

import torch
from espnet2.utils.nested_dict_action import NestedDictAction
from espnet2.utils.types import str2bool
from torch.nn import functional as F
from torch.utils.data import Dataset

from spclap.data.datadir import SPLITS, load_datadir
from spclap.engine.batches import Batch, FixedScenes, FreshScenes
from spclap.engine.heard import HeardScenes, Hearing, PooledScenes
from spclap.engine.made import tokenizer
from spclap.engine.precision import kinds_in_bfloat16
from spclap.engine.renamed import Names, Renaming
from spclap.engine.scene_model import SceneModel
from spclap.engine.scene_task import SceneTask, scenes_of_batch
from spclap.errors import DataError
from spclap.evaluate.embedder import OfClap
from spclap.evaluate.protocols import Embeddings, assignment, retrieval
from spclap.model.blocks import ClauseTargets, block_size, distance, places_of
from spclap.model.class_scores import ChosenClasses, ClassScores
from spclap.model.content_encoder import yamnet_classes
from spclap.model.loss import gather, symmetric_info_nce
from spclap.model.spatial_clap import SpatialClap, build
from spclap.model.text_encoder import TEXT_ENCODERS
from spclap.scene.corpus import Corpus
from spclap.scene.meaning import fits
from spclap.space.directions import DIRECTIONS
from spclap.space.family import belongs
from spclap.space.wording import TEMPLATE


class ClapModel(SceneModel):
    """What hears with a Spatial-CLAP, `clap`."""

    clap: SpatialClap

    def heard(self, batch: Batch) -> Batch:
        """With what is heard of it, as it was before if it has that."""
        return replace(batch, heard=self.clap.hear(self.stereo(batch), batch.arrays)) if batch.heard is None else batch

    def vectors(self, batch: Batch) -> torch.Tensor:
        """(N, dim) of a batch."""
        return self.clap.join(self.heard(batch).heard)

    def listen(self, scenes: FreshScenes | FixedScenes) -> Dataset:
        if not self.clap.hears_once:
            return scenes
        hearing = Hearing(self.clap, scenes.corpus, "maps" in self.kinds)
        if isinstance(scenes, FixedScenes):
            return HeardScenes(scenes, hearing)
        return PooledScenes(scenes, hearing) if scenes.pool else scenes


class ClapTraining(ClapModel):
    """`clause_weight` times two more losses are added unless it is 0: the contrastive loss of the audio with
    `ClauseTargets`, and the distance of the text vectors from these. `names_weight` times all of them are added of what
    `Renaming` makes of a batch, unless it is 0.
    """

    def __init__(
        self, clap: SpatialClap, kinds: tuple[str, ...] = (), clause_weight: float = 0.0, names_weight: float = 0.0
    ):  # fmt: skip
        super().__init__(kinds)
        self.names_weight = names_weight
        self.clap, self.clause_weight = clap, clause_weight
        scores = class_scores(clap)
        names = Names(yamnet_classes()[0]) if scores else None
        called = scores and ChosenClasses(scores, names.vectors(clap.text_encoder), block_size(clap.dim))
        self.renaming = Renaming(scores, names) if names_weight else None
        sizes = {"inputs": clap.text_encoder.dim, "dim": clap.dim, "called": called}
        self.clauses = build("clause_weight", ClauseTargets, sizes) if clause_weight else None

    def targets(self, told: list[tuple]) -> torch.Tensor:
        """(N, dim) of the sources of N items, each source a (caption, direction index or None)."""
        flat = [(caption, item, direction) for item, sources in enumerate(told) for caption, direction in sources]
        captions = {caption: row for row, caption in enumerate(dict.fromkeys(caption for caption, *_ in flat))}
        ids = self.clap.text_encoder.tokenize(list(captions)).to(self.device)  # each is encoded once
        rows = torch.tensor([(captions[caption], item) for caption, item, _ in flat], device=self.device)
        caption, item = rows.unbind(1)
        places = places_of([direction for *_, direction in flat]).to(self.device)
        return self.clauses(self.clap.text_encoder(ids)[caption], item, places)

    def contrast(self, audio: torch.Tensor, text: torch.Tensor, batch: Batch) -> torch.Tensor:
        """InfoNCE over all ranks of audio (N, dim) of unit length and text (N, dim) of any."""
        text = F.normalize(text.float(), dim=1)
        audio, text, said, true = (gather(x) for x in (audio.float(), text, batch.said, batch.true))
        return symmetric_info_nce(audio, text, fits(said, true), self.clap.scale())

    def losses(self, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor], int]:
        with self.autocast("maps"):
            batch = self.heard(batch)
        if self.training and (scores := class_scores(self.clap)):
            scores.learn(*batch.heard)
        loss, stats = self.losses_of(batch)
        if self.renaming:
            stats["names"], _ = self.losses_of(self.renaming(batch))
            loss = loss + self.names_weight * stats["names"]
        return loss, stats, len(batch)

    def losses_of(self, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Of what was heard."""
        ids = self.clap.text_encoder.tokenize(batch.captions).to(self.device)
        with self.autocast("maps"):
            audio = self.vectors(batch)
        with self.autocast("words"):
            text = self.clap.text_vectors(ids)
            targets = self.targets(batch.told) if self.clauses else None
        loss = self.contrast(audio, text, batch)
        stats = {"contrastive": loss, "scale": self.clap.scale()}
        if targets is not None:
            apart = self.contrast(audio, targets, batch)
            away = distance(text.float(), targets.float().detach())
            stats.update(clauses=apart, distance=away)
            loss = loss + self.clause_weight * (apart + away)
        return loss, stats

    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """R@1 both ways and content-space assignment in percent; `score` is their mean."""
        groups: dict[int, Embeddings] = {}
        for batch in batches:
            audio = self.vectors(batch.to(self.device)).cpu().numpy()
            groups.setdefault(batch.scenes[0].size, Embeddings(OfClap(self.clap))).add(batch.scenes, audio)
        stats = {}
        for size, embeddings in groups.items():
            a2t, t2a = retrieval(embeddings)
            stats[f"r1_{size}src"] = 50 * float((a2t == 0).mean() + (t2a == 0).mean())
            if size > 1:
                stats[f"assignment_{size}src"] = 100 * float(assignment(embeddings).mean())
        stats["score"] = sum(stats.values()) / len(stats)
        return stats


class StructuredTraining(ClapTraining):
    """One source a scene; the content half of the space is contrasted over contents, the other over directions."""

    def contrast(self, audio: torch.Tensor, text: torch.Tensor, batch: Batch) -> torch.Tensor:
        if any(scene.size != 1 for scene in batch.scenes):
            raise DataError("fusion structured has one content and one direction a recording; batch must be {1: ...}")
        said, true = gather(batch.said), gather(batch.true)
        items, places = torch.arange(len(said), device=said.device), said[..., 0].argmax(dim=1)
        content = fits(said[items, places][:, None], true[items, places][:, None])
        losses = []
        for half, same in enumerate((content, places[:, None] == places)):
            halves = (gather(F.normalize(x.float().chunk(2, dim=1)[half], dim=1)) for x in (audio, text))
            losses.append(symmetric_info_nce(*halves, same, self.clap.scale()))
        return sum(losses)


class ClapTask(SceneTask):
    """Spatial-CLAP."""

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        super().add_task_arguments(parser)
        group = parser.add_argument_group(description="Model")
        group.add_argument("--permutations", type=int, default=1, help="of a scene in a batch at most; above 1: SCL")
        group.add_argument("--clause_weight", type=float, default=0.0, help="of the losses with clause targets")
        group.add_argument("--names_weight", type=float, default=0.0, help="of the losses with names of classes")
        group.add_argument("--content_encoder", type=str, default="yamnet")
        group.add_argument("--content_encoder_conf", action=NestedDictAction, default={})
        group.add_argument("--fusion", type=str, default="concat")
        group.add_argument("--fusion_conf", action=NestedDictAction, default={})
        group.add_argument("--text_encoder", type=str, default="hf")
        group.add_argument("--text_encoder_conf", action=NestedDictAction, default={})
        group.add_argument("--text_head", type=str, default="pooled")
        group.add_argument("--dim", type=int, default=512)
        group.add_argument("--equal_level", type=str2bool, default=True, help="recordings are brought to one level")
        group.add_argument("--array", type=str, default="pair:0.17", help="what hears where nothing else is said")
        group.add_argument("--frozen", nargs="*", default=[], help="parts of the model that do not learn")

    @classmethod
    def new_model(cls, args: argparse.Namespace) -> ClapTraining:
        clap = SpatialClap(**clap_conf(args))
        halves = clap.text_head.halves
        if args.clause_weight and halves:
            raise DataError(f"clause_weight is {args.clause_weight}; fusion structured has no blocks, so it must be 0")
        training = StructuredTraining if halves else ClapTraining
        return training(clap, kinds_in_bfloat16(args), args.clause_weight, args.names_weight)

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> ClapTraining:
        model = super().build_model(args)
        learned = learned_arrays(args)
        if model.clap.told and not belongs(model.clap.array, learned):
            raise DataError(
                f"array is {model.clap.array}, taken where nothing is said, and these rooms have {', '.join(learned)}; "
                f"give `array` one of them"
            )
        require_readable(model.clap.text_encoder.check, args)
        model.clap.text_encoder.remember()
        return model


def learned_arrays(args: argparse.Namespace) -> list[str]:
    """Families of what a model of these arguments has heard through, in its pre-training too."""
    arrays = Corpus(args.data, args.dump).simu.arrays
    return list(dict.fromkeys([*arrays(args.rooms), *(args.pretraining_rooms and arrays(args.pretraining_rooms))]))


def class_scores(clap: SpatialClap) -> ClassScores | None:
    """Of a model, if it has them."""
    return next((part for part in clap.modules() if isinstance(part, ClassScores)), None)


def clap_conf(args: argparse.Namespace) -> dict:
    """Arguments of `SpatialClap` among those of a training."""
    conf = {name: getattr(args, name) for name in signature(SpatialClap).parameters}
    conf["text_encoder_conf"] = with_tokenizer(TEXT_ENCODERS, args.text_encoder, args.text_encoder_conf, args)
    return conf


def with_tokenizer(registry: dict, kind: str, conf: dict | None, args: argparse.Namespace) -> dict:
    """Options of a part, the corpus' tokenizer among them if it needs that."""
    if getattr(registry.get(kind), "needs", "") != "tokenizer":
        return conf or {}
    return {**(conf or {}), "tokenizer": str(tokenizer(Corpus(args.data, args.dump)))}


def require_readable(read: Callable[[list[str]], list[list[int]]], args: argparse.Namespace) -> None:
    """DataError unless the longest captions that scenes of a corpus can have are read whole: said before a training
    begins. `read` gives the tokens of captions, or that error."""
    corpus = Corpus(args.data, args.dump)
    sizes = {split: corpus.fixed_counts(split) for split in SPLITS}
    sizes["train"] = [*sizes["train"], *scenes_of_batch(args.batch)]
    for split, counts in sizes.items():
        clips, most = load_datadir(corpus.data / split), max(counts, default=1)
        captions = [caption for clip in clips for caption in clip.captions]
        try:
            length = dict(zip(captions, map(len, read(captions)), strict=True))
            of_clips = [max(clip.captions, key=length.get) for clip in clips]
            longest = sorted(of_clips, key=length.get, reverse=True)[:most]
            read([TEMPLATE.caption(longest, [direction] * len(longest)) for direction in DIRECTIONS])
        except DataError as error:
            raise DataError(f"{corpus.data / split}, scenes of up to {most} sources: {error}") from error
