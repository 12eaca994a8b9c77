"""Stages 3 and 4: train one model through ESPnet2."""

import argparse
import logging
import os
import tempfile
import warnings
from collections.abc import Sequence
from inspect import signature
from pathlib import Path

import yaml

from spclap.bin import require_gpus, run_main
from spclap.bin.recipe import add_layers, recipe_of
from spclap.data.config import load_yaml, merge
from spclap.data.files import atomic_write_text
from spclap.data.stamp import Stamp, corpus_digest, digest, require_complete, require_corpus
from spclap.errors import DataError
from spclap.recipe import MODEL
from spclap.recipe.compose import Config, Layer, Run
from spclap.recipe.show import sources

SOURCES = "config_sources.txt"  # beside config.yaml: where each value of it comes from
OURS = ("task", "init")  # keys of a config that this program reads, ESPnet2 the rest
UNSHOWN = {"config", "required", "ngpu", "seed", "resume", "multiprocessing_distributed"}  # told on the command line


def composed(args: argparse.Namespace) -> tuple[Run, Config, Path | None]:
    """What is trained, from which layers, and the folder of the training that it starts from."""
    if args.run:
        recipe = recipe_of(args)
        run = recipe.run(args.run)
        config = recipe.config(*run.names)
        init = args.init or (args.exp.parent / run.start if run.start else None)
    else:
        run = Run(args.exp.name, tuple(map(str, args.config)), args.init.name if args.init else "")
        config, init = Config(tuple(Layer(str(path), load_yaml(path)) for path in args.config)), args.init
    return run, config, init if config.values.get("init", True) else None


def task_named(config: Config) -> str:
    """Name of the task of ESPnet2 that a config is for."""
    if (task := config.values.get("task")) not in ("seld", "masks", "clap", "caption"):
        raise DataError(f"{config.layers[-1].origin}: task is {task!r}, must be seld, masks, clap or caption")
    return task


def theirs(config: Config) -> dict:
    """What a config says to ESPnet2."""
    return {key: value for key, value in config.values.items() if key not in OURS}


def explained(run: Run, config: Config, words: Sequence[str]) -> str:
    """Every key of a training, its value and where that comes from, with the user's options and defaults in code.

    DataError for a key that nobody reads. Left out are defaults that no training here reads, and those of the model
    that a captioner listens to, which has its own.
    """
    from spclap.engine.options import read_options
    from spclap.engine.scene_task import DATA_LOADING, OTHERS, UNREAD, check_options
    from spclap.engine.tasks import TASKS
    from spclap.model.spatial_clap import SpatialClap

    parser = TASKS[task_named(config)].get_parser()
    defaults = vars(parser.parse_args([]))
    config.require_read([*defaults, *OURS])
    config = config.under(Layer("--train_args", read_options(parser, words)))
    check_options(parser, argparse.Namespace(**{**defaults, **theirs(config)}), theirs(config).keys())
    loading = (group for group in parser._action_groups if group.title in DATA_LOADING)
    hidden = {*UNREAD, *OTHERS, *UNSHOWN, *(action.dest for group in loading for action in group._group_actions)}
    hidden = hidden - {"num_iters_per_epoch"} | set(signature(SpatialClap).parameters if "decoder" in defaults else ())
    return sources(run, config, {key: value for key, value in defaults.items() if key not in hidden})


def rank() -> int:
    """Of this process among those that torchrun started; 0 without it."""
    return int(os.environ.get("RANK", 0))


def whole_config(args: argparse.Namespace, task: str, config: dict, folder: Path) -> dict:
    """Everything that ESPnet2's task must know to train into `folder`; users' options lie on top."""
    from spclap.engine.options import read_options
    from spclap.engine.tasks import TASKS

    own = {"output_dir": str(folder), "data": str(args.data), "dump": str(args.dump), "seed": args.seed}
    own.update(ngpu=args.ngpu, resume=True, multiprocessing_distributed=args.ngpu > 1)
    if args.init and task == "clap":
        part = pretrained_part(args.init)
        own["start"] = {"file": str(args.init / MODEL), "part": part, "into": "clap.spatial_encoder"}
    elif task == "caption":
        own["start"] = {"file": str(args.init / MODEL), "part": "clap", "into": "clap"}
    return merge({**config, **own}, read_options(TASKS[task].get_parser(), args.options))


def command(config: dict, folder: Path) -> list[str]:
    """Arguments of ESPnet2's task: one file, written into `folder`, so that YAML's safe loader reads all of it."""
    path = folder / "train.yaml"
    atomic_write_text(path, yaml.safe_dump(config, sort_keys=False))
    return ["--config", str(path)]


def pretrained_part(init: Path) -> str:
    """Where in a pre-trained model the spatial encoder is; DataError for a model that is none."""
    from spclap.engine.tasks import TASKS
    from spclap.engine.trained import task_of

    if not (place := TASKS[task := task_of(init)].pretrains):
        names = " or ".join(name for name, kind in TASKS.items() if kind.pretrains)
        raise DataError(f"--init {init} is a model of task {task}; give the folder of one of {names}")
    return place


def listened_to(init: Path | None) -> dict:
    """Arguments of the trained model that a captioner listens to; DataError unless there is one."""
    from spclap.engine.clap import clap_conf
    from spclap.engine.trained import arguments, task_of

    if init is None or task_of(init) != "clap":
        raise DataError(f"task caption needs --init with the folder of a trained model such as scl, got {init}")
    trained = arguments(init)
    where = {name: getattr(trained, name) for name in ("rooms", "pretraining_rooms", "sounds")}
    return {**clap_conf(trained), "frozen": [], **where}


def check_init(wanted: argparse.Namespace, init: Path) -> None:
    """DataError unless the spatial encoder of a training can start from the one in `init`."""
    stored = load_yaml(init / "config.yaml")
    for key, default in (("spatial_encoder", None), ("spatial_encoder_conf", None), ("equal_level", True)):
        if (value := getattr(wanted, key)) != (pretrained := stored.get(key, default)):
            raise DataError(
                f"{key} is {value}, that of {init} is {pretrained}: it learned with another config; rerun stage 3"
            )


def check_training(args: argparse.Namespace, task: str, config: dict, names: str) -> bool:
    """Build the model and its optimizer without training; returns whether --dry_run asked for no more than that.

    DataError or argparse's exit for a config that does not work, before the folder of an older model is touched.
    """
    from spclap.engine.options import read_options
    from spclap.engine.scene_task import check_options
    from spclap.engine.tasks import TASKS
    from spclap.model.spatial_clap import SPATIAL_ENCODERS

    with tempfile.TemporaryDirectory() as scratch:
        parser, wanted = TASKS[task].get_parser(), whole_config(args, task, config, Path(scratch))
        parsed = parser.parse_args(command(wanted, Path(scratch)))
        check_options(parser, parsed, {*config, *read_options(parser, args.options)})
        if args.init and task == "clap":
            check_init(parsed, args.init)
        one_process = {"dry_run": True, "ngpu": 0, "multiprocessing_distributed": False, "dist_world_size": 1}
        logging.disable(logging.NOTSET if parsed.dry_run else logging.INFO)  # the training says it again
        try:
            TASKS[task].main(cmd=command({**wanted, **one_process}, Path(scratch)))
        except DataError:
            raise
        except (AssertionError, AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise DataError(f"{names}: {type(error).__name__}: {error}; nothing was trained") from error
        finally:
            logging.disable(logging.NOTSET)
    learns = SPATIAL_ENCODERS[parsed.spatial_encoder].pretraining is not None
    if learns and "spatial_encoder" in getattr(parsed, "frozen", ()) and not args.init and not parsed.dry_run:
        raise DataError("a frozen spatial_encoder needs --init, a pre-trained model that it learned in")
    return parsed.dry_run


def run_task(args: argparse.Namespace, run: Run, config: Config, stamp: Stamp) -> None:
    """Train, or build the model only with --dry_run. A config that does not work leaves `args.exp` as it was.

    Of several processes that torchrun started, the first one writes.
    """
    from spclap.engine.tasks import TASKS  # seconds of imports that a complete stage need not wait for
    from spclap.engine.trained import kept_files, remove_checkpoints

    warnings.filterwarnings("ignore", category=FutureWarning, module="espnet2")
    task, values, told = task_named(config), theirs(config), explained(run, config, args.options)
    try:
        if check_training(args, task, values, " + ".join(run.names)):
            return
        if stamp.interrupted() and (args.exp / "config.yaml").is_file():  # it goes on as it was timed to be faster
            values = {**values, "bfloat16": load_yaml(args.exp / "config.yaml")["bfloat16"]}
        if rank() == 0:
            stamp.begin(keep_old=True)
            atomic_write_text(args.exp / SOURCES, told)
        with tempfile.TemporaryDirectory() as scratch:
            place = args.exp if rank() == 0 else Path(scratch)
            TASKS[task].main(cmd=command(whole_config(args, task, values, args.exp), place))
    except OSError as error:
        raise DataError(f"{args.exp}: {error}; put that right and rerun, it goes on at its last epoch") from error
    if rank() == 0:
        stamp.write(kept_files(args.exp))
        remove_checkpoints(args.exp)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--run", help="name of a training, such as scl or concat_seld; `spclap config list` has all")
    what.add_argument("--config", type=Path, nargs="+", help="one of your own: YAML files, later ones on top")
    add_layers(parser)
    parser.add_argument("--data", type=Path, required=True, help="data/<corpus>")
    parser.add_argument("--dump", type=Path, required=True, help="dump/<corpus>")
    parser.add_argument("--exp", type=Path, required=True, help="folder of this model, written")
    parser.add_argument(
        "--init",
        type=Path,
        help="folder of the trained model to start from; with --run the one beside --exp that the run starts from",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ngpu", type=int, default=0)
    parser.add_argument("options", nargs="*", help="after --: further options of ESPnet2, such as --max_epoch 2")
    args = parser.parse_args()

    run, config, args.init = composed(args)
    task = task_named(config)
    if "-" in args.exp.name:
        raise DataError(f"--exp {args.exp}: `-` in a model's name means a difference of models; write `_`")
    require_gpus(args.ngpu)
    require_corpus(args.data, args.dump)
    if args.init:
        require_complete(args.init, "stage 3 (pre-training)")
    if task == "caption":
        heard = listened_to(args.init)
        config = Config((Layer(str(args.init / "config.yaml"), heard), *config.layers))
    init = digest(args.init / MODEL) if args.init else None
    stamp = Stamp(
        args.exp, task=task, config=theirs(config), corpus=corpus_digest(args.data, args.dump), init=init,
        seed=args.seed, options=args.options,
    )  # fmt: skip
    if stamp.fresh():
        logging.info("%s: up to date", args.exp)
        return
    run_task(args, run, config, stamp)


if __name__ == "__main__":
    run_main(main)
