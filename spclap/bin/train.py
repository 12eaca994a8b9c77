"""Stages 3 and 4: train one model through ESPnet2."""

import argparse
import logging
import os
import tempfile
import warnings
from pathlib import Path

import yaml

from spclap.bin import require_gpus, run_main
from spclap.data.config import load_yaml, merge
from spclap.data.files import atomic_write_text
from spclap.data.stamp import Stamp, corpus_digest, digest, require_complete, require_corpus
from spclap.engine import MODEL
from spclap.errors import DataError


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
    return {**clap_conf(arguments(init)), "frozen": []}


def check_init(wanted: argparse.Namespace, init: Path) -> None:
    """DataError unless the spatial encoder of a training can start from the one in `init`."""
    stored = load_yaml(init / "config.yaml")
    for key, default in (("spatial_encoder", None), ("spatial_encoder_conf", None), ("equal_level", True)):
        if (value := getattr(wanted, key)) != (pretrained := stored.get(key, default)):
            raise DataError(
                f"{key} is {value}, that of {init} is {pretrained}; make them equal (lay the change over the "
                f"config of the pre-training too) and rerun stage 3"
            )


def check_training(args: argparse.Namespace, task: str, config: dict) -> bool:
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
            names = " + ".join(map(str, args.config))
            raise DataError(f"{names}: {type(error).__name__}: {error}; nothing was trained") from error
        finally:
            logging.disable(logging.NOTSET)
    learns = SPATIAL_ENCODERS[parsed.spatial_encoder].pretraining is not None
    if learns and "spatial_encoder" in getattr(parsed, "frozen", ()) and not args.init and not parsed.dry_run:
        raise DataError("a frozen spatial_encoder needs --init, a pre-trained model that it learned in")
    return parsed.dry_run


def run_task(args: argparse.Namespace, task: str, config: dict, stamp: Stamp) -> None:
    """Train, or build the model only with --dry_run. A config that does not work leaves `args.exp` as it was.

    Of several processes that torchrun started, the first one writes.
    """
    from spclap.engine.tasks import TASKS  # seconds of imports that a complete stage need not wait for

    warnings.filterwarnings("ignore", category=FutureWarning, module="espnet2")
    try:
        if check_training(args, task, config):
            return
        if stamp.interrupted() and (args.exp / "config.yaml").is_file():  # it goes on as it was timed to be faster
            config = {**config, "bfloat16": load_yaml(args.exp / "config.yaml")["bfloat16"]}
        if rank() == 0:
            stamp.begin(keep_old=True)
        with tempfile.TemporaryDirectory() as scratch:
            place = args.exp if rank() == 0 else Path(scratch)
            TASKS[task].main(cmd=command(whole_config(args, task, config, args.exp), place))
    except OSError as error:
        raise DataError(f"{args.exp}: {error}; put that right and rerun, it goes on at its last epoch") from error
    if rank() == 0:
        stamp.write([args.exp / "config.yaml", args.exp / MODEL])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, nargs="+", required=True, help="YAML files, later ones on top")
    parser.add_argument("--data", type=Path, required=True, help="data/<corpus>")
    parser.add_argument("--dump", type=Path, required=True, help="dump/<corpus>")
    parser.add_argument("--exp", type=Path, required=True, help="folder of this model, written")
    parser.add_argument(
        "--init",
        type=Path,
        help="folder of the pre-trained model that the spatial encoder starts from; a config with "
        "`init: false` starts without",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ngpu", type=int, default=0)
    parser.add_argument("options", nargs="*", help="after --: further options of ESPnet2, such as --max_epoch 2")
    args = parser.parse_args()

    config = load_yaml(*args.config)
    task = config.pop("task", None)
    if not config.pop("init", True):
        args.init = None
    if task not in ("seld", "masks", "clap", "caption"):
        raise DataError(f"{args.config[0]}: task is {task!r}, must be seld, masks, clap or caption")
    if "-" in args.exp.name:
        raise DataError(f"--exp {args.exp}: `-` in a model's name means a difference of models; write `_`")
    require_gpus(args.ngpu)
    require_corpus(args.data, args.dump)
    if args.init:
        require_complete(args.init, "stage 3 (pre-training)")
    if task == "caption":
        config = {**listened_to(args.init), **config}
    init = digest(args.init / MODEL) if args.init else None
    stamp = Stamp(
        args.exp, task=task, config=config, corpus=corpus_digest(args.data, args.dump), init=init, seed=args.seed,
        options=args.options,
    )  # fmt: skip
    if stamp.fresh():
        logging.info("%s: up to date", args.exp)
        return
    run_task(args, task, config, stamp)


if __name__ == "__main__":
    run_main(main)
