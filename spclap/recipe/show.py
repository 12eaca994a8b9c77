"""Configs and trainings as text."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from spclap.recipe.compose import Config, Layer, Recipe, Run

CODE = "default"  # origin of values that no file states
WIDEST = 48  # columns for values; longer ones push their file to the right


def rows(values: dict[str, Any], path: tuple = ()) -> Iterator[tuple[tuple, Any]]:
    """Path of keys and value of everything in a config."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from rows(value, (*path, key))
        else:
            yield (*path, key), value


def value_text(value: Any) -> str:
    """In YAML, on one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("\n...\n").strip()


def sources(run: Run, config: Config, defaults: dict[str, Any]) -> str:
    """Every key of a run with its value and its file: first what files say, then defaults in code."""
    whole = Config((Layer(CODE, defaults), *config.layers))
    unsaid = sorted((path, value) for path, value in rows(whole.values) if whole.origin(*path) == CODE)
    told = [*rows(config.values), *unsaid]
    lines = [(".".join(map(str, path)), value_text(value), whole.origin(*path)) for path, value in told]
    wide = max(len(key) for key, _, _ in lines)
    wider = min(WIDEST, max(len(value) for _, value, _ in lines))
    start = f", starts from {run.start}" if run.start else ""
    head = f"# {run.tag}: {' + '.join(run.names)}{start}\n"
    return head + "".join(f"{key:{wide}}  {value:{wider}}  {origin}\n" for key, value, origin in lines)


def header(path: Path) -> str:
    """First sentence of the comment that a file begins with."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.strip("# "))
    return " ".join(lines).split(". ")[0].rstrip(".")


def listing(recipe: Recipe) -> str:
    """Trainings by model, each with the first sentence of its file."""
    runs = [run for run in recipe.all_runs() if run.names != ("train/caption",)]
    wide, out = max(len(run.tag) for run in runs), []
    for model in recipe.there("model"):
        name = f"model/{model}"
        out.append(f"{model}: {header(Path(recipe.conf, f'{name}.yaml'))}")
        for run in (run for run in runs if run.names[0] == name):
            out.append(f"  {run.tag:{wide}}  {header(Path(recipe.conf, f'{run.names[-1]}.yaml'))}")
    return "\n".join([*out, "a name and _captions: its captioner, stage 6", ""])
