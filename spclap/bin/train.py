"""Stages 3 and 4: train one model through ESPnet2."""

import argparse
import logging
import warnings
from pathlib import Path

import yaml

from spclap.bin import run_main
from spclap.data.config import load_yaml
from spclap.data.datadir import atomic_write_text
from spclap.data.stamp import Stamp, digest, require_complete
from spclap.errors import DataError


def training_command(args: argparse.Namespace, task: str, config: Path) -> list[str]:
    """Arguments for ESPnet2's task."""
    command = ["--config", str(config), "--output_dir", str(args.exp), "--data", str(args.data)]
    command += ["--dump", str(args.dump), "--seed", str(args.seed), "--ngpu", str(args.ngpu), "--resume", "true"]
    if args.init and task == "clap":
        command += ["--init_param", f"{args.init}/valid.score.ave.pth:seld.spatial_encoder:clap.spatial_encoder"]
    return command + args.options


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, nargs="+", required=True, help="YAML files, later ones on top")
    parser.add_argument("--data", type=Path, required=True, help="data/<corpus>")
    parser.add_argument("--dump", type=Path, required=True, help="dump/<corpus>")
    parser.add_argument("--exp", type=Path, required=True, help="folder of this model, written")
    parser.add_argument("--init", type=Path, help="folder of the SELD model that the spatial encoder starts from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ngpu", type=int, default=0)
    parser.add_argument("options", nargs="*", help="after --: further options of ESPnet2, such as --max_epoch 2")
    args = parser.parse_args()

    config = load_yaml(*args.config)
    task = config.pop("task", None)
    if task not in ("seld", "clap"):
        raise DataError(f"{args.config[0]}: task is {task!r}, must be seld or clap")
    if "-" in args.exp.name:
        raise DataError(f"--exp {args.exp}: `-` in a model's name means a difference of models; write `_`")
    require_complete(args.dump, "stage 2 (extract)")
    if args.init:
        require_complete(args.init, "stage 3 (SELD pre-training)")
    init = digest(args.init / "done.json") if args.init else None
    stamp = Stamp(
        args.exp, task=task, config=config, dump=digest(args.dump / "done.json"), init=init, seed=args.seed,
        options=args.options,
    )  # fmt: skip
    if stamp.fresh():
        logging.info("%s: up to date", args.exp)
        return
    stamp.begin(keep_old=True)
    merged = args.exp / "train.yaml"
    atomic_write_text(merged, yaml.safe_dump(config, sort_keys=False))
    warnings.filterwarnings("ignore", category=FutureWarning, module="espnet2")
    from spclap.engine.task import TASKS  # seconds of imports that a complete stage need not wait for

    TASKS[task].main(cmd=training_command(args, task, merged))
    if "--dry_run" not in args.options:
        stamp.write()


if __name__ == "__main__":
    run_main(main)
