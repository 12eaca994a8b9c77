"""Model directories: all that a Spatial-CLAP needs, in files that cannot run code.

- config.yaml: arguments of `SpatialClap` and of `Captioner`, and of what it was made
- model.safetensors, text/, content/: every weight; tokenizer and configuration of the text encoder; configuration of a
  content encoder of transformers
- captioner.safetensors, decoder/: the same for a captioner, if it has one
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
from torch import nn

from spclap.errors import DataError
from spclap.model.captioner import Captioner
from spclap.model.spatial_clap import SpatialClap

FOLDERS = {"text_encoder": "text", "content_encoder": "content", "decoder": "decoder"}


def read_checkpoint(path: Path) -> dict:
    """Everything of a checkpoint of torch on the CPU, without letting it run code; DataError for any other file."""
    dtypes = [type(np.dtype(name)) for name in ("float64", "float32", "int64")]
    known = [scalar, (scalar, "numpy.core.multiarray.scalar"), np.dtype, datetime.timedelta, *dtypes]
    try:
        with torch.serialization.safe_globals(known):
            return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise DataError(f"{path}: cannot be read as a checkpoint of weights: {error}") from error


def _save(model: nn.Module, conf: dict, folder: Path, weights: str) -> dict:
    """Write weights and what the parts in FOLDERS need; returns the arguments that build `model` from them."""
    for part in FOLDERS.keys() & dict(model.named_children()).keys():
        kept = getattr(model, part).save_configuration(folder / FOLDERS[part])
        conf = {**conf, f"{part}_conf": {**(conf.get(f"{part}_conf") or {}), **kept}}
    state = {key: value.detach().cpu().contiguous().clone() for key, value in model.state_dict().items()}
    save_file(state, folder / weights, metadata={"format": "pt"})
    return conf


def save_model(
    clap: SpatialClap, conf: dict, folder: Path, captioner: tuple[Captioner, dict] | None = None, **about
) -> None:
    """Write a model directory; `conf` holds the arguments that `clap` was built with, `about` goes into config.yaml.

    A captioner is given with its own arguments.

    DataError when `folder` exists: nothing is overwritten. It is complete or not there.
    """
    folder = Path(folder)
    if folder.exists():
        raise DataError(f"{folder}: is there already; give another folder or remove it")
    temporary = folder.with_name(f".tmp-{folder.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        content = {"model": _save(clap, {**conf, "frozen": []}, temporary, "model.safetensors"), "about": about}
        if captioner:
            content["captioner"] = _save(*captioner, temporary, "captioner.safetensors")
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        (temporary / "config.yaml").write_text(text, encoding="utf-8")
        temporary.rename(folder)
    except OSError as error:
        raise DataError(f"{folder}: cannot be written: {error}; nothing was left behind") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _load(build: type[nn.Module], section: str, folder: Path, weights: str, *ends) -> nn.Module:
    """`build(*ends, ...)` with the arguments of a section of config.yaml and its weights, in evaluation mode.

    DataError for a folder that is no model directory, lacks the section or is incomplete.
    """
    path = folder / "config.yaml"
    if not path.is_file():
        raise DataError(f"{path}: not found; `spclap export` and `spclap import-official` make model directories")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        if section not in content:
            raise DataError(f"{folder}: the model has no {section}; see README.md for how to train and export one")
        conf = content[section]
        for part, name in FOLDERS.items():
            options = conf.get(f"{part}_conf") or {}
            options.update({k: str(folder / v) for k, v in options.items() if str(v).split("/")[0] == name})
        model = build(*ends, **conf)
        model.load_state_dict(load_file(folder / weights))
    except (KeyError, TypeError, RuntimeError, OSError, yaml.YAMLError, SafetensorError) as error:
        raise DataError(f"{folder}: damaged model directory: {error}; make it anew") from error
    return model.eval()


def about(folder: Path) -> dict:
    """What `save_model` was told about a model."""
    return yaml.safe_load((Path(folder) / "config.yaml").read_text(encoding="utf-8"))["about"]


def load_model(folder: Path, device: str | torch.device = "cpu") -> SpatialClap:
    """What `save_model` wrote; DataError for a folder that is no model directory or incomplete, or for a device that is
    not there."""
    return _on(device, _load(SpatialClap, "model", Path(folder), "model.safetensors"))


def load_captioner(folder: Path, dim: int, device: str | torch.device = "cpu") -> Captioner:
    """The captioner that `save_model` wrote with a model of `dim`; DataError where there is none."""
    return _load(Captioner, "captioner", Path(folder), "captioner.safetensors", dim).to(device)


def _on(device: str | torch.device, model: nn.Module) -> nn.Module:
    try:
        return model.to(device)
    except (AssertionError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"device {device}: {reason}; give another, such as cpu") from error
