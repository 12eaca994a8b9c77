"""ESPnet2 tasks: pre-training (SELD, direction masks), contrastive training and captioning on simulated scenes."""

import argparse
from collections.abc import Callable
from inspect import signature
from pathlib import Path

from espnet2.utils.nested_dict_action import NestedDictAction
from espnet2.utils.types import str2bool

from spclap.data.datadir import SPLITS, load_datadir
from spclap.engine.models import CaptionTraining, ClapTraining, MaskTraining, SeldTraining, StructuredTraining
from spclap.engine.scene_task import SceneTask, load_statistics, scenes_of_batch, use_bfloat16
from spclap.errors import DataError
from spclap.model.captioner import Captioner
from spclap.model.seld import Seld
from spclap.model.spatial_clap import SPATIAL_ENCODERS, SpatialClap, build, part
from spclap.scene.caption import caption_at
from spclap.scene.corpus import Corpus
from spclap.scene.directions import DIRECTIONS


class ClapTask(SceneTask):
    """Spatial-CLAP: single-source baseline, multi-source, SCL."""

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        super().add_task_arguments(parser)
        group = parser.add_argument_group(description="Model")
        group.add_argument("--permutations", type=int, default=1, help="of a scene in a batch at most; above 1: SCL")
        group.add_argument("--clause_weight", type=float, default=0.0, help="of the losses with clause targets")
        group.add_argument("--content_encoder", type=str, default="yamnet")
        group.add_argument("--content_encoder_conf", action=NestedDictAction, default={})
        group.add_argument("--fusion", type=str, default="concat")
        group.add_argument("--fusion_conf", action=NestedDictAction, default={})
        group.add_argument("--text_encoder", type=str, default="hf")
        group.add_argument("--text_encoder_conf", action=NestedDictAction, default={})
        group.add_argument("--text_head", type=str, default="pooled")
        group.add_argument("--dim", type=int, default=512)
        group.add_argument("--equal_level", type=str2bool, default=True, help="recordings are brought to one level")
        group.add_argument("--frozen", nargs="*", default=[], help="parts of the model that do not learn")

    @classmethod
    def new_model(cls, args) -> ClapTraining:
        clap = SpatialClap(**clap_conf(args))
        if args.spatial_encoder == "ca_se":
            load_statistics(clap.spatial_encoder.maps, args.dump)
        training = StructuredTraining if args.fusion == "structured" else ClapTraining
        if args.clause_weight and training is StructuredTraining:
            raise DataError(f"clause_weight is {args.clause_weight}; fusion structured has no blocks, so it must be 0")
        return training(clap, use_bfloat16(args), args.clause_weight)

    @classmethod
    def build_model(cls, args) -> ClapTraining:
        model = super().build_model(args)
        require_readable(model.clap.text_encoder.check, args)
        return model


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
            read([caption_at(longest, [direction] * len(longest)) for direction in DIRECTIONS])
        except DataError as error:
            raise DataError(f"{corpus.data / split}, scenes of up to {most} sources: {error}") from error


def clap_conf(args: argparse.Namespace) -> dict:
    """Arguments of `SpatialClap` among those of a training; the tokenizer's place is filled in."""
    conf = {name: getattr(args, name) for name in signature(SpatialClap).parameters}
    if args.text_encoder == "transformer":
        conf["text_encoder_conf"] = {"tokenizer": str(Path(args.dump) / "tokenizer.model"), **args.text_encoder_conf}
    return conf


class SeldTask(SceneTask):
    """SELD pre-training of the spatial encoder."""

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        super().add_task_arguments(parser)
        parser.add_argument("--one_class", type=str2bool, default=False, help="learn directions alone, not of what")
        parser.add_argument("--equal_level", type=str2bool, default=True, help="recordings are brought to one level")
        parser.add_argument(
            "--classes",
            action=NestedDictAction,
            default={},
            help="class -> events in it; empty: each event is one",
        )

    @classmethod
    def new_model(cls, args) -> SeldTraining:
        check_kind(args, "ca_se")
        corpus = Corpus(args.data, args.dump)
        events = corpus.events
        if args.one_class:  # of clips whose events no training clip has, too
            count, classes_of = 1, dict.fromkeys(events, (0,))
        else:
            class_of = seld_classes(corpus.classes, args.classes)
            count = len(set(class_of.values()))
            classes_of = {clip: tuple(sorted({class_of[e] for e in events[clip] if e in class_of})) for clip in events}
        if count > MAX_CLASSES:
            raise DataError(
                f"{args.data}: {count} SELD classes, at most {MAX_CLASSES}: give the clips events that several share "
                f"(utt2event, README.md of the corpus) or group them with `classes` in train/seld.yaml"
            )
        conf = {"spatial_encoder_conf": args.spatial_encoder_conf, "equal_level": args.equal_level}
        seld = build("SELD", Seld, {"classes": count, **conf})
        load_statistics(seld.spatial_encoder.maps, args.dump)
        return SeldTraining(seld, classes_of, use_bfloat16(args))


def seld_classes(labels: list[str], groups: dict[str, list[str]]) -> dict[str, int]:
    """Class index of each label; DataError when groups are given that leave a label out or hold one twice."""
    if not groups:
        return {label: index for index, label in enumerate(labels)}
    class_of = {label: index for index, name in enumerate(sorted(groups)) for label in groups[name]}
    missing, total = sorted(set(labels) - class_of.keys()), sum(map(len, groups.values()))
    if missing or total != len(class_of):
        raise DataError(
            f"SELD `classes` must hold every label once; missing: {', '.join(missing) or 'none, one is twice'}"
        )
    return class_of


class MaskTask(SceneTask):
    """Pre-training of the masks of directions."""

    @classmethod
    def new_model(cls, args) -> MaskTraining:
        check_kind(args, "masks")
        return MaskTraining(part(SPATIAL_ENCODERS, "masks", args.spatial_encoder_conf), use_bfloat16(args))


def check_kind(args: argparse.Namespace, kind: str) -> None:
    """DataError unless the spatial encoder is the one that a task pre-trains."""
    if args.spatial_encoder != kind:
        raise DataError(f"this task trains the spatial_encoder `{kind}`, not `{args.spatial_encoder}`")


MAX_CLASSES = 1000  # AudioSet has 527


class CaptionTask(ClapTask):
    """Spatial captioning: a decoder on the vectors of a trained model, whose arguments it shares."""

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        super().add_task_arguments(parser)
        group = parser.add_argument_group(description="Captioner")
        group.add_argument("--decoder", type=str, default="small")
        group.add_argument("--decoder_conf", action=NestedDictAction, default={})
        group.add_argument("--fresh", type=str2bool, default=True, help="false: every epoch has the same scenes")
        group.add_argument("--prefix", type=int, default=4, help="embeddings that an audio vector becomes")

    @classmethod
    def new_model(cls, args) -> CaptionTraining:
        if args.permutations != 1:
            raise DataError(f"permutations is {args.permutations}; a captioner needs the true one alone, 1")
        clap = super().new_model(args).clap
        captioner = Captioner(clap.dim, **captioner_conf(args))
        return CaptionTraining(clap, captioner, use_bfloat16(args), not args.fresh)

    @classmethod
    def build_model(cls, args) -> CaptionTraining:
        model = super().build_model(args)
        require_readable(model.captioner.encode, args)
        return model


def captioner_conf(args: argparse.Namespace) -> dict:
    """Arguments of `Captioner` among those of a training; the tokenizer's place is filled in."""
    conf = {name: getattr(args, name) for name in ("decoder", "decoder_conf", "prefix")}
    if args.decoder == "small":
        conf["decoder_conf"] = {"tokenizer": str(Path(args.dump) / "tokenizer.model"), **args.decoder_conf}
    return conf


TASKS = {"seld": SeldTask, "masks": MaskTask, "clap": ClapTask, "caption": CaptionTask}
