"""ESPnet2 tasks: SELD pre-training and contrastive training on simulated scenes."""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

import torch
import yaml
from espnet2.tasks.abs_task import AbsTask, optim_classes
from espnet2.utils.nested_dict_action import NestedDictAction
from safetensors.torch import load_file

from spclap.engine import MODEL
from spclap.engine.iterators import FixedScenes, FreshScenes, SceneIterFactory
from spclap.engine.models import ClapTraining, SceneModel, SeldTraining, fast_bfloat16
from spclap.engine.trainer import SceneTrainer, read_checkpoint
from spclap.errors import DataError
from spclap.model.features import StereoMaps
from spclap.model.seld import Seld
from spclap.model.spatial_clap import SpatialClap, part
from spclap.scene.corpus import Corpus


def load_statistics(maps: StereoMaps, dump: Path) -> None:
    """Give a spatial encoder's input the mean and deviation that stage 2 measured."""
    path = Path(dump) / "statistics.safetensors"
    if not path.is_file():
        raise DataError(f"{path}: missing; run stage 2 (extract) first")
    tables = load_file(path)
    name = f"{maps.kind}.{maps.n_fft}.{maps.hop}"
    if f"{name}.mean" not in tables:
        raise DataError(f"{path}: no statistics for {name}; set n_fft and hop in conf/feats.yaml and rerun stage 2")
    maps.set_statistics(*(tables[f"{name}.{what}"][:, : maps.bins] for what in ("mean", "std")))


def use_bfloat16(args: argparse.Namespace) -> bool:
    """What --bfloat16 means on this machine."""
    wanted = str(args.bfloat16).lower()  # YAML makes true a bool
    return fast_bfloat16(args.ngpu > 0) if wanted == "auto" else wanted == "true"


class SceneTask(AbsTask):
    """Options and iterators that both tasks share."""

    num_optimizers = 1
    class_choices_list: list = []
    trainer = SceneTrainer

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        group = parser.add_argument_group(description="Scenes")
        group.add_argument("--data", type=str, help="data/<corpus>")
        group.add_argument("--dump", type=str, help="dump/<corpus>")
        group.add_argument("--batch", action=NestedDictAction, default={}, help="number of sources -> scenes a batch")
        group.add_argument("--spatial_encoder_conf", action=NestedDictAction, default={})
        group.add_argument(
            "--bfloat16", type=str, default="auto", choices=("auto", "true", "false"), help="encoders in training"
        )
        group.add_argument("--lr_scale", action=NestedDictAction, default={}, help="part of the model -> factor on lr")
        parser.set_defaults(required=["output_dir", "data", "dump"], iterator_type="task", num_att_plot=0)

    @classmethod
    def build_collate_fn(cls, args, train):
        return None

    @classmethod
    def build_preprocess_fn(cls, args, train):
        return None

    @classmethod
    def required_data_names(cls, train=True, inference=False):
        return ()

    @classmethod
    def optional_data_names(cls, train=True, inference=False):
        return ()

    @classmethod
    def build_iter_options(cls, args, distributed_option, mode):
        return distributed_option

    @classmethod
    def build_task_iter_factory(cls, args, iter_options, mode):
        corpus = Corpus(args.data, args.dump)
        batch = {int(n): count for n, count in args.batch.items() if count}
        if mode == "valid":
            return SceneIterFactory(FixedScenes(corpus, "valid", sorted(batch), 32, frozen_content(args)))
        rank, world = iter_options.dist_rank or 0, iter_options.dist_world_size or 1
        permuted = getattr(args, "permutations", False)
        steps = args.num_iters_per_epoch
        return SceneIterFactory(FreshScenes(corpus, batch, permuted, steps, args.seed, rank, world), args.num_workers)

    @classmethod
    def build_optimizers(cls, args, model):
        if "lr" not in args.optim_conf:
            raise DataError(f"optim_conf has no lr; a layer that changes `optim` to {args.optim} must give it")
        lr, parts = args.optim_conf["lr"], {"": [], **{name: [] for name in args.lr_scale}}
        for path, parameter in model.named_parameters():
            name = next((name for name in args.lr_scale if name in path.split(".")), "")
            if parameter.requires_grad:
                parts[name].append(parameter)
        if unused := [name for name in args.lr_scale if not parts[name]]:
            raise DataError(f"lr_scale: the model has no part `{unused[0]}` that is trained")
        groups = [{"params": parameters, "lr": lr * args.lr_scale.get(name, 1)} for name, parameters in parts.items()]
        if args.scheduler == "onecyclelr":
            steps = args.max_epoch * args.num_iters_per_epoch // args.accum_grad
            limits = {"max_lr": [group["lr"] for group in groups], "total_steps": steps}
            args.scheduler_conf = {**args.scheduler_conf, **limits}
        return [optim_classes[args.optim](groups, **args.optim_conf)]


DATA_LOADING = ("BatchSampler related", "Sequence iterator related", "Chunk iterator related", "Dataset related")


def refuse_unread(parser: argparse.ArgumentParser, keys: Iterable[str]) -> None:
    """DataError for an option of ESPnet's data loading, which scenes drawn on the fly have no use for."""
    groups = [group for group in parser._action_groups if group.title in DATA_LOADING]
    unread = {action.dest for group in groups for action in group._group_actions} - {"num_iters_per_epoch"}
    if found := sorted(unread.intersection(keys)):
        raise DataError(f"nobody reads the key `{found[0]}`; `batch` and `num_iters_per_epoch` say what is drawn")


def frozen_content(args: argparse.Namespace) -> str | None:
    """Name of a training's content encoder if it is frozen, so that features of stage 2 can stand for it."""
    return args.content_encoder if "content_encoder" in getattr(args, "frozen", ()) else None


class ClapTask(SceneTask):
    """Spatial-CLAP: single-source baseline, multi-source, SCL."""

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        super().add_task_arguments(parser)
        group = parser.add_argument_group(description="Model")
        group.add_argument("--permutations", type=lambda v: str(v).lower() == "true", default=False, help="SCL")
        group.add_argument("--content_encoder", type=str, default="yamnet")
        group.add_argument("--content_encoder_conf", action=NestedDictAction, default={})
        group.add_argument("--text_encoder", type=str, default="hf")
        group.add_argument("--text_encoder_conf", action=NestedDictAction, default={})
        group.add_argument("--dim", type=int, default=512)
        group.add_argument("--frozen", nargs="*", default=[], help="parts of the model that do not learn")

    @classmethod
    def build_model(cls, args) -> ClapTraining:
        clap = SpatialClap(**clap_conf(args))
        load_statistics(clap.spatial_encoder.maps, args.dump)
        return ClapTraining(clap, use_bfloat16(args))


def clap_conf(args: argparse.Namespace) -> dict:
    """Arguments of `SpatialClap` among those of a training; the tokenizer's place is filled in."""
    names = (
        "content_encoder",
        "content_encoder_conf",
        "spatial_encoder_conf",
        "text_encoder",
        "text_encoder_conf",
        "dim",
        "frozen",
    )
    conf = {name: getattr(args, name) for name in names}
    if args.text_encoder == "transformer":
        conf["text_encoder_conf"] = {"tokenizer": str(Path(args.dump) / "tokenizer.model"), **args.text_encoder_conf}
    return conf


class SeldTask(SceneTask):
    """SELD pre-training of the spatial encoder."""

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        super().add_task_arguments(parser)
        parser.add_argument(
            "--classes", action=NestedDictAction, default={}, help="class -> labels in it; empty: each label is one"
        )

    @classmethod
    def build_model(cls, args) -> SeldTraining:
        class_of = seld_classes(Corpus(args.data, args.dump).classes, args.classes)
        count = len(set(class_of.values()))
        seld = part({"seld": Seld}, "seld", dict(classes=count, spatial_encoder_conf=args.spatial_encoder_conf))
        load_statistics(seld.spatial_encoder.maps, args.dump)
        return SeldTraining(seld, class_of, use_bfloat16(args))


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


TASKS = {"seld": SeldTask, "clap": ClapTask}


def trained_folders(exp: Path) -> list[Path]:
    """Folders of finished trainings below `exp`, in order of training."""
    found = [path.parent for path in Path(exp).glob("*/done.json") if ".old" not in path.parent.name]
    done = [folder for folder in found if json.loads((folder / "done.json").read_text())["complete"]]
    return sorted(done, key=lambda folder: (folder / MODEL).stat().st_mtime)


def load_training(folder: Path) -> tuple[SceneModel, argparse.Namespace]:
    """A trained model in evaluation mode and the arguments of its training."""
    folder = Path(folder)
    args = argparse.Namespace(**yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")))
    task = TASKS[json.loads((folder / "done.json").read_text())["task"]]
    model = task.build_model(args)
    model.load_state_dict(torch.load(folder / MODEL, map_location="cpu", weights_only=True))
    return model.eval(), args


def history(folder: Path) -> list[dict]:
    """Losses and validation scores, one entry an epoch, of a finished training."""
    stats = read_checkpoint(Path(folder) / "checkpoint.pth")["reporter"]["stats"]
    return [
        {"epoch": epoch, "train_loss": float(phases["train"]["loss"]), "valid_score": float(phases["valid"]["score"])}
        for epoch, phases in sorted(stats.items())
    ]
