"""Model directories: all that a Spatial-CLAP needs, in files that cannot run code.

config.yaml          arguments of `SpatialClap`, and of what it was made
model.safetensors    every weight
text/                tokenizer, and configuration of the text encoder
content/             configuration of a content encoder of transformers
"""

import datetime
import pickle
import shutil
from pathlib import Path

import numpy as np
import torch
import yaml
from numpy._core.multiarray import scalar
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from spclap.errors import DataError
from spclap.model.spatial_clap import SpatialClap

FOLDERS = {"text_encoder": "text", "content_encoder": "content"}  # options that name one of these are paths in it


def read_checkpoint(path: Path) -> dict:
    """Everything of a checkpoint of torch on the CPU, without letting it run code; DataError for any other file."""
    dtypes = [type(np.dtype(name)) for name in ("float64", "float32", "int64")]
    known = [scalar, (scalar, "numpy.core.multiarray.scalar"), np.dtype, datetime.timedelta, *dtypes]
    try:
        with torch.serialization.safe_globals(known):
            return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise DataError(f"{path}: cannot be read as a checkpoint of weights: {error}") from error


def save_model(clap: SpatialClap, conf: dict, folder: Path, **about) -> None:
    """Write a model directory; `conf` holds the arguments that `clap` was built with, `about` goes into config.yaml.

    DataError when `folder` exists: nothing is overwritten. It is complete or not there.
    """
    folder = Path(folder)
    if folder.exists():
        raise DataError(f"{folder}: is there already; give another folder or remove it")
    conf = {**conf, "frozen": []}
    temporary = folder.with_name(f".tmp-{folder.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        for part, name in FOLDERS.items():
            kept = getattr(clap, part).save_configuration(temporary / name)
            conf[f"{part}_conf"] = {**(conf.get(f"{part}_conf") or {}), **kept}
        weights = {key: value.detach().cpu().contiguous() for key, value in clap.state_dict().items()}
        save_file(weights, temporary / "model.safetensors", metadata={"format": "pt"})
        text = yaml.safe_dump({"model": conf, "about": about}, sort_keys=False, allow_unicode=True)
        (temporary / "config.yaml").write_text(text, encoding="utf-8")
        temporary.rename(folder)
    except OSError as error:
        raise DataError(f"{folder}: cannot be written: {error}; nothing was left behind") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def load_model(folder: Path, device: str | torch.device = "cpu") -> SpatialClap:
    """What `save_model` wrote, in evaluation mode; DataError for a folder that is no model directory or incomplete."""
    folder = Path(folder)
    path, weights = folder / "config.yaml", folder / "model.safetensors"
    for file in (path, weights):
        if not file.is_file():
            raise DataError(f"{file}: not found; `spclap export` and `spclap import-official` make model directories")
    try:
        conf = yaml.safe_load(path.read_text(encoding="utf-8"))["model"]
        for part, name in FOLDERS.items():
            options = conf[f"{part}_conf"]
            options.update({k: str(folder / v) for k, v in options.items() if str(v).split("/")[0] == name})
        clap = SpatialClap(**conf)
        clap.load_state_dict(load_file(weights))
    except (KeyError, TypeError, RuntimeError, yaml.YAMLError, SafetensorError) as error:
        raise DataError(f"{folder}: damaged model directory: {error}; make it anew") from error
    return clap.to(device).eval()
