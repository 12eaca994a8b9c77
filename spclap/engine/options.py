"""Options of ESPnet2 that users give after `--`, read by YAML's safe loader alone.

ESPnet2's own parser evaluates the values of options such as --optim_conf as Python, so none of them reaches it.
"""

import argparse
import difflib
import re
from collections.abc import Sequence
from typing import Any

import yaml
from espnet2.utils.nested_dict_action import NestedDictAction
from espnet2.utils.types import int_or_none, str2bool

from spclap.data.config import merge, require_numbers
from spclap.errors import DataError


def read_value(text: str, where: str) -> Any:
    """A value in YAML; DataError for text that is none."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DataError(f"{where} {text}: not a value in YAML: {error}") from error
    require_numbers(value, where)
    return value


def read_mapping(words: Sequence[str], where: str) -> dict:
    """`{a: 1}`, or `a=1 b.c=2` with YAML behind each `=`."""
    if not re.match(r"[\w.]+=", "".join(words[:1])):
        value = read_value(" ".join(words), where)
        if not isinstance(value, dict):
            raise DataError(f"{where} {' '.join(words)}: write key=value, or {{key: value}}")
        return value
    given: dict = {}
    for assignment in re.split(r" (?=[\w.]+=)", " ".join(words)):
        path, _, text = assignment.partition("=")
        value = read_value(text, f"{where} {path}=")
        for key in reversed(path.split(".")):
            value = {key: value}
        given = merge(given, value)
    return given


def read_options(parser: argparse.ArgumentParser, words: Sequence[str]) -> dict[str, Any]:
    """`--key value ...` and `--key=value`, as a layer over a training's config.

    Keys are those of `parser`, whole; a mapping that is given in parts, by several options, is put together. DataError
    for an unknown key and for an option with no value or several, unless it takes them.
    """
    actions = {action.dest: action for action in parser._actions if action.dest not in ("help", "config")}
    given: dict[str, Any] = {}
    for key, values in _grouped(words):
        if (action := actions.get(key)) is None:
            near = difflib.get_close_matches(key, actions, 1)
            raise DataError(f"--{key}: there is no such option{f'; did you mean --{near[0]}?' if near else ''}")
        if isinstance(action, NestedDictAction):
            given = merge(given, {key: read_mapping(values, f"--{key}")})
        elif action.nargs in ("*", "+"):
            given[key] = [read_value(value, f"--{key}") for value in values]
        elif len(values) == 1:
            given[key] = read_value(values[0], f"--{key}")
        else:
            raise DataError(f"--{key} takes one value, not {' '.join(values) or 'none'}")
    return given


KINDS = {int: (int,), int_or_none: (int, type(None)), float: (int, float), str2bool: (bool,)}


def check_kinds(parser: argparse.ArgumentParser, given: dict[str, Any]) -> None:
    """DataError for a number or switch of a config that is something else. Text is left to `parser`."""
    for action in parser._actions:
        if action.dest not in given or action.type not in KINDS:
            continue
        value, kinds = given[action.dest], (str, *KINDS[action.type])
        for one in value if isinstance(value, list) and action.nargs else [value]:
            if not isinstance(one, kinds) or (isinstance(one, bool) and bool not in kinds):
                raise DataError(f"{action.dest} is {value!r}; it must be {action.type.__name__.replace('str2', '')}")


def _grouped(words: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Keys with the words behind each; DataError for words that belong to none."""
    groups: list[tuple[str, list[str]]] = []
    for word in words:
        if word.startswith("--"):
            key, given, value = word[2:].partition("=")
            groups.append((key, [value] if given else []))
        elif groups:
            groups[-1][1].append(word)
        else:
            raise DataError(f"`{word}` is no option of a training; write --key value")
    return groups
