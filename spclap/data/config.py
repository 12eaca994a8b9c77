"""YAML configs: layers merged in order, every key read or refused."""

import dataclasses
import difflib
import re
import typing
from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeVar

import yaml

from spclap.errors import DataError

T = TypeVar("T")


def merge(base: dict, over: dict) -> dict:
    """`over` on top of `base`; nested mappings are merged, everything else replaced.

    Where `over` names another `part`, the base's `part_conf` goes: its keys were the other part's.
    """
    out = dict(base)
    for key in over:
        if f"{key}_conf" in base and over[key] != base.get(key):
            del out[f"{key}_conf"]
    for key, value in over.items():
        out[key] = merge(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


def load_yaml(*paths: Path) -> dict[str, Any]:
    """Merge YAML files, later ones on top. DataError for a missing file or one that is no mapping."""
    config: dict[str, Any] = {}
    for path in map(Path, paths):
        if not path.is_file():
            raise DataError(f"{path}: config not found")
        try:
            layer = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: not valid YAML: {error}") from error
        if not isinstance(layer, dict):
            raise DataError(f"{path}: expected `key: value` lines, got {type(layer).__name__}")
        require_numbers(layer, str(path))
        config = merge(config, layer)
    return config


def require_numbers(value: Any, where: str) -> None:
    """DataError for 1e-3, which YAML reads as text."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            require_numbers(item, f"{where}: {key}")
    elif isinstance(value, str) and re.fullmatch(r"[+-]?\d+[eE][+-]?\d+", value):
        raise DataError(f"{where}: `{value}` is text to YAML; write it with a point, such as 1.0e-3")


def unread(key: Any, known: Collection[str], otherwise: str) -> str:
    """What to say of a key that is not known; `otherwise` where none of a similar name is."""
    near = difflib.get_close_matches(str(key), known, 1)
    return f"nobody reads the key `{key}`; {f'did you mean `{near[0]}`?' if near else otherwise}"


def parse(cls: type[T], values: dict[str, Any], where: str) -> T:
    """Build a config dataclass; nested dataclasses are sections.

    Raises DataError for a key that nobody reads and for a key that is missing, naming `where`.
    """
    if not isinstance(values, dict):
        raise DataError(f"{where}: expected `key: value` lines, got {values!r}")
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in values:
        if key not in fields:
            raise DataError(f"{where}: {unread(key, fields, 'known keys: ' + ', '.join(fields))}")
    missing = [
        n for n, f in fields.items() if n not in values and f.default is f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise DataError(f"{where}: missing key(s) {', '.join(missing)}")
    built = {
        key: parse(hints[key], value, f"{where}: {key}") if dataclasses.is_dataclass(hints[key]) else value
        for key, value in values.items()
    }
    try:
        return cls(**built)
    except (AttributeError, TypeError, ValueError) as error:
        raise DataError(f"{where}: {error}") from error


def load_config(cls: type[T], *paths: Path) -> T:
    """`parse` of the merged files."""
    return parse(cls, load_yaml(*paths), " + ".join(map(str, paths)))
