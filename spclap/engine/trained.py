"""What a finished training left behind."""

import argparse
import json
import os
import shutil
from pathlib import Path

from spclap.data.config import load_yaml
from spclap.data.files import atomic_path, atomic_write_text
from spclap.data.stamp import corpus_digest, read_stamp, require_complete
from spclap.engine.captions import captioner_conf
from spclap.engine.clap import clap_conf, learned_arrays
from spclap.engine.scene_model import SceneModel
from spclap.engine.tasks import TASKS
from spclap.errors import DataError
from spclap.model.checkpoints import on_device, read_checkpoint, require_weights, save_model
from spclap.recipe import MODEL
from spclap.scene.corpus import Corpus


def trained_folders(exp: Path) -> list[Path]:
    """Folders of finished trainings below `exp`, in order of training."""
    found = [path.parent for path in Path(exp).glob("*/done.json") if ".old" not in path.parent.name]
    done = [folder for folder in found if read_stamp(folder)["complete"]]
    for folder in done:
        require_complete(folder, "stage 3, 4 or 6 (train)")
    return sorted(done, key=lambda folder: (folder / MODEL).stat().st_mtime)


def task_of(folder: Path) -> str:
    """What a training was: a key of TASKS."""
    return read_stamp(folder)["task"]


def require_clap(folder: Path) -> None:
    """DataError unless `folder` holds a finished model that hears and reads."""
    require_complete(folder, "stages 3 and 4 (train)")
    if task_of(folder) != "clap":
        raise DataError(f"{folder}: its task is {task_of(folder)}, not clap; give models such as scl")


def arguments(folder: Path, **changed) -> argparse.Namespace:
    """Arguments of a training, with defaults for options that did not exist yet; its data and dump are found from any
    working directory."""
    folder = Path(folder)
    defaults = vars(TASKS[task_of(folder)].get_parser().parse_args([]))
    stored = load_yaml(folder / "config.yaml")
    if missing := {"output_dir", "data", "dump"} - stored.keys():
        raise DataError(
            f"{folder / 'config.yaml'}: has no {min(missing)}, so it is not what a training wrote; train again"
        )
    home = home_of(folder, stored["output_dir"])
    places = {key: str(home / stored[key]) for key in ("data", "dump")}
    return argparse.Namespace(**{**defaults, **stored, **places, **changed})


def home_of(folder: Path, stored: str) -> Path:
    """Where a training that wrote into `stored` was started, as seen from here: what its relative paths begin at.

    The working directory, as ever, for a folder that was moved since.
    """
    parts, here = Path(os.path.normpath(stored)).parts, Path(os.path.abspath(folder))
    if os.path.isabs(stored) or here.parts[-len(parts) :] != parts:
        return Path()
    return Path(os.path.relpath(here.parents[len(parts) - 1]))


def load_training(folder: Path, corpus: Corpus, device: str = "cpu") -> SceneModel:
    """A trained model in evaluation mode, to be used on `corpus`.

    DataError for a model whose tokenizer was of captions that are others now.
    """
    folder = Path(folder)
    args = arguments(folder, data=str(corpus.data), dump=str(corpus.dump))
    model = TASKS[task_of(folder)].new_model(args)
    if not same_corpus(folder, corpus) and any(getattr(part, "needs", "") == "tokenizer" for part in model.modules()):
        raise DataError(f"{folder}: {corpus.data} and its tokenizer were made anew since; train it again")
    weights = require_weights(read_checkpoint(folder / MODEL), folder / MODEL)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise DataError(f"{folder / MODEL}: does not fit {folder / 'config.yaml'}: {error}; train it again") from error
    return on_device(device, model).eval()


def same_corpus(folder: Path, corpus: Corpus) -> bool:
    """Whether a training was made from what `corpus` is now: lists, rooms, scenes and packed clips."""
    return read_stamp(folder).get("corpus") == corpus_digest(corpus.data, corpus.dump)


def kept_files(folder: Path) -> list[Path]:
    """What a training that ended leaves: its configuration, the model, a file now, and history.json: training
    loss and validation figures (`valid_*`), an entry an epoch."""
    model, path, rows = folder / MODEL, folder / "history.json", []
    with atomic_path(model) as temporary:
        shutil.copyfile(model, temporary)
    for epoch, phases in sorted(read_checkpoint(folder / "checkpoint.pth")["reporter"]["stats"].items()):
        valid = {f"valid_{key}": float(value) for key, value in phases["valid"].items() if isinstance(value, float)}
        rows.append({"epoch": epoch, "train_loss": float(phases["train"]["loss"]), **valid})
    atomic_write_text(path, json.dumps(rows, indent=1) + "\n")
    return [folder / "config.yaml", model, path]


def remove_checkpoints(folder: Path) -> None:
    """Of a complete training, which nothing goes on from: a few hundred MB."""
    for path in set(folder.glob("*.pth")) - {folder / MODEL}:
        path.unlink()


def history(folder: Path) -> list[dict]:
    """The history that `kept_files` wrote; DataError where there is none."""
    path = Path(folder) / "history.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: missing or damaged ({error}); train {folder} again") from error


def export(folder: Path, out: Path) -> None:
    """A finished training as a model directory, with its captioner if it is one; DataError for a pre-training."""
    require_complete(folder, "stage 3, 4 or 6 (train)")
    if (task := task_of(folder)) not in ("clap", "caption"):
        raise DataError(f"{folder}: its task is {task}; models of task clap or caption can be exported, such as scl")
    args = arguments(folder)
    corpus = Corpus(args.data, args.dump)
    training = load_training(folder, corpus)
    speaking = (training.captioner, captioner_conf(args)) if task == "caption" else None
    told = "/".join(Path(os.path.abspath(folder)).parts[-3:])  # such as mini/seed0/scl, wherever that is
    seconds = args.seconds[0] if args.seconds else corpus.simu.scenes.seconds
    about = {"training": told, "seed": args.seed, "scene_seconds": seconds, "arrays": learned_arrays(args)}
    save_model(training.clap, clap_conf(args), out, speaking, **about)
