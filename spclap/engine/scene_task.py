"""What all ESPnet2 tasks on simulated scenes share: options, iterators, optimizers, and checks of what is given."""

import argparse
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

import torch
from espnet2.tasks.abs_task import AbsTask, optim_classes
from espnet2.utils.nested_dict_action import NestedDictAction

from spclap.data.config import parse
from spclap.engine.batches import FixedScenes, FreshScenes, SceneIterFactory
from spclap.engine.made import normalise_inputs
from spclap.engine.options import check_kinds
from spclap.engine.scene_model import SceneModel
from spclap.engine.trainer import SceneTrainer
from spclap.errors import DataError
from spclap.model.checkpoints import read_checkpoint, require_weights
from spclap.model.spatial_clap import SPATIAL_ENCODERS, part
from spclap.scene.augment import Augmentation
from spclap.scene.corpus import Corpus
from spclap.space.words import Phrasing


def start_from(model: torch.nn.Module, file: str, part: str, into: str) -> None:
    """Give `into`, a part of `model`, the weights that `part` has in a file; DataError unless they fit."""
    weights = require_weights(read_checkpoint(Path(file)), Path(file))
    weights = {name[len(part) + 1 :]: value for name, value in weights.items() if name.startswith(f"{part}.")}
    try:
        model.get_submodule(into).load_state_dict(weights)
    except RuntimeError as error:
        raise DataError(f"{file}: its {part} does not fit {into} of this model: {error}") from error


class SceneTask(AbsTask):
    """Options, initial weights and iterators that all tasks share; each brings its own `new_model`."""

    trainer = SceneTrainer
    pretrains = ""  # the part of the model that others can start from

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        group = parser.add_argument_group(description="Scenes")
        group.add_argument("--data", type=str, help="data/<corpus>")
        group.add_argument("--dump", type=str, help="dump/<corpus>")
        group.add_argument("--batch", action=NestedDictAction, default={}, help="number of sources -> scenes a batch")
        group.add_argument(
            "--pool", action=NestedDictAction, default={},
            help="number of sources -> training scenes heard once, if nothing that hears is trained; empty: new ones",
        )  # fmt: skip
        group.add_argument("--rooms", nargs="*", default=[], help="settings of conf/simu.yaml that it trains in")
        group.add_argument("--sounds", nargs="*", default=[], help="settings of its sounds, clean if none is given")
        group.add_argument("--pretraining_rooms", nargs="*", default=[], help="those of pre-training, if other ones")
        group.add_argument(
            "--seconds", type=float, nargs=2, default=[], help="lengths of training scenes, low and high"
        )
        group.add_argument("--phrasing", action=NestedDictAction, default={}, help="how much is said in other words")
        group.add_argument("--augment", action=NestedDictAction, default={}, help="variation of training scenes")
        group.add_argument("--start", action=NestedDictAction, default={}, help="arguments of start_from")
        group.add_argument("--spatial_encoder", type=str, default="ca_se")
        group.add_argument("--spatial_encoder_conf", action=NestedDictAction, default={})
        group.add_argument("--bfloat16", type=str, default="auto", help="auto, true, false, maps or words")
        group.add_argument("--lr_scale", action=NestedDictAction, default={}, help="part of the model -> factor on lr")
        parser.set_defaults(required=["output_dir", "data", "dump"], iterator_type="task", num_att_plot=0)
        parser.set_defaults(best_model_criterion=[CRITERION], use_tensorboard=False)

    @classmethod
    def new_model(cls, args: argparse.Namespace) -> SceneModel:
        """As a config describes it, for training or for weights that were trained."""
        raise NotImplementedError

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> SceneModel:
        """To be trained, from the weights that `args.start` names if any."""
        model = cls.new_model(args)
        normalise_inputs(model, Corpus(args.data, args.dump))
        if args.start:
            start_from(model, **args.start)
        return model

    @staticmethod
    def spatial_encoder(args: argparse.Namespace, task: str) -> torch.nn.Module:
        """To be pre-trained; DataError for one that does not learn in this task."""
        encoder = part(SPATIAL_ENCODERS, args.spatial_encoder, args.spatial_encoder_conf)
        if encoder.pretraining != task:
            raise DataError(f"the task {task} does not train the spatial_encoder `{args.spatial_encoder}`")
        return encoder

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
        rank, world = iter_options.dist_rank or 0, iter_options.dist_world_size or 1
        batch = scenes_of_batch(args.batch, world)
        if mode == "valid":
            sizes = [size for size in corpus.fixed_counts("valid") if size in batch]
            if not sizes:
                raise DataError(
                    f"{args.data}: no fixed validation scenes of {sorted(batch)} sources; see conf/simu.yaml"
                )
            return SceneIterFactory(FixedScenes(corpus, "valid", sizes))
        permutations = getattr(args, "permutations", 1)
        steps = args.num_iters_per_epoch
        augmentation = parse(Augmentation, args.augment, "augment")
        pool = scenes_of_batch(args.pool, what="pool") if args.pool else {}
        rooms = (cls.pretrains and args.pretraining_rooms) or args.rooms
        scenes = FreshScenes(
            corpus, batch, permutations, steps, args.seed, rank, world, augmentation, pool, rooms, args.sounds,
            args.seconds, parse(Phrasing, args.phrasing, "phrasing"),
        )  # fmt: skip
        return SceneIterFactory(scenes, args.num_workers)

    @classmethod
    def build_optimizers(cls, args, model):
        if "lr" not in args.optim_conf:
            raise DataError(f"optim_conf has no lr; a layer that changes `optim` to {args.optim} must give it")
        lr, parts = args.optim_conf["lr"], defaultdict(list)
        for path, parameter in model.named_parameters():
            if parameter.requires_grad:
                names = path.split(".")
                part = next((name for name in args.lr_scale if name in names), "")
                parts[part, names[-1] == "logit_scale"].append(parameter)
        if unused := args.lr_scale.keys() - {part for part, _ in parts}:
            raise DataError(f"lr_scale: the model has no part `{min(unused)}` that is trained")
        groups = [{"params": found, "lr": lr * args.lr_scale.get(part, 1)} for (part, _), found in parts.items()]
        for group, (_, is_scale) in zip(groups, parts, strict=True):
            if is_scale:  # a temperature that decays is no weight
                group["weight_decay"] = 0.0
        if args.scheduler == "onecyclelr":
            steps = args.max_epoch * args.num_iters_per_epoch // args.accum_grad
            limits = {"max_lr": [group["lr"] for group in groups], "total_steps": steps}
            args.scheduler_conf = {**args.scheduler_conf, **limits}
        return [optim_classes[args.optim](groups, **args.optim_conf)]


SHORTEST, LONGEST = 0.5, 60.0  # s; content encoders need as much, and a batch of longer scenes no memory holds
CRITERION = ["valid", "score", "max"]  # what MODEL is named after
DATA_LOADING = ("BatchSampler related", "Sequence iterator related", "Chunk iterator related", "Dataset related")
UNREAD = {
    "adapter", "adapter_conf", "collect_stats", "deepspeed_config", "exclude_weight_decay", "exclude_weight_decay_conf",
    "pretrain_path", "print_config", "save_strategy", "sharded_ddp", "use_adapter", "use_deepspeed",
    "write_collected_feats",
}  # fmt: skip
OTHERS = {
    "init_param": "--init, the folder of a trained model",
    "ignore_init_mismatch": "--init, whose weights must fit",
    "start": "--init",
    "data": "--data",
    "dump": "--dump",
    "output_dir": "--exp",
}  # keys of ESPnet -> option of the training program in their place


def check_options(parser: argparse.ArgumentParser, args: argparse.Namespace, given: Collection[str]) -> None:
    """DataError for options of ESPnet that nothing here reads, among those `given`, and for values that do not fit."""
    if refused := sorted(OTHERS.keys() & given):
        raise DataError(f"the key `{refused[0]}` is not for configs and options; {OTHERS[refused[0]]} is the way")
    groups = [group for group in parser._action_groups if group.title in DATA_LOADING]
    unread = {action.dest for group in groups for action in group._group_actions} - {"num_iters_per_epoch"}
    if found := sorted((unread | UNREAD).intersection(given)):
        raise DataError(f"nobody reads the key `{found[0]}`; `batch`, `optim_conf` and `lr_scale` are what there is")
    check_kinds(parser, {key: value for key, value in vars(args).items() if key in given})
    if [list(criterion) for criterion in args.best_model_criterion] != [CRITERION]:
        raise DataError(f"best_model_criterion is {args.best_model_criterion}; the only one is [{CRITERION}]")
    scenes_of_batch(args.batch, max(args.ngpu, 1))
    if args.pool:
        scenes_of_batch(args.pool, what="pool")
    parse(Augmentation, args.augment, "augment")
    if not isinstance(limit := getattr(args, "permutations", 1), int) or limit < 1:
        raise DataError(f"permutations is {limit}; it must be 1 (the true one alone) or a whole number above")
    if (seconds := args.seconds) in (None, []):
        return
    numbers = isinstance(seconds, list) and [one for one in seconds if isinstance(one, int | float)]
    if not (numbers == seconds and len(numbers) == 2 and SHORTEST <= numbers[0] <= numbers[1] <= LONGEST):
        raise DataError(f"seconds is {seconds}; it must be [low, high], in order, within {SHORTEST} and {LONGEST} s")


def scenes_of_batch(batch: dict, ranks: int = 1, what: str = "batch") -> dict[int, int]:
    """Number of sources -> scenes a batch, as whole numbers; DataError for others and for what ranks cannot share."""
    try:
        counts = {int(n_sources): int(count) for n_sources, count in batch.items() if int(count)}
    except (AttributeError, TypeError, ValueError):
        raise DataError(f"{what} is {batch}; write number of sources: scenes, such as {{1: 16, 2: 8}}") from None
    if not counts:
        raise DataError(f"{what} is {batch}; it holds no scenes")
    for n_sources, count in counts.items():
        if count % ranks:
            raise DataError(f"batch: {count} scenes of {n_sources} source(s) cannot be shared by {ranks} ranks")
    return counts
