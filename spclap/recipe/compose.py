"""The one rule by which layers of YAML make a config; each value knows the file it comes from.

A run is a list of names of files, such as model/concat and train/scl, each with its `parents` before it. First come the
files of these names in conf/, over them those in egs/<corpus>/conf/, over them those in the user's folder.
"""

import difflib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property, reduce
from pathlib import Path
from typing import Any, NamedTuple

from spclap.data.config import load_yaml, merge, unread
from spclap.errors import DataError

DEFAULT = "default"
CAPTIONS = "captions"  # what the name of a captioner ends in, after that of the training that it listens to
HEARING = ("spatial_encoder", "spatial_encoder_conf", "rooms", "pretraining_rooms", "sounds")
TAKEN = {
    "masks": HEARING,
    "seld": (*HEARING, "equal_level"),
}  # task of a pre-training -> what it takes of a model
ABOUT = {
    "model": ("parents", "pretraining", "stages"),
    "train": ("parents",),
    "ablation": ("parents", "model"),
}  # folder -> keys that say what a file is for, and are no part of a config
NEEDED = {
    "model": (str, "the name of a file in model/"),
    "pretraining": (str | None, "the name of a file in train/, or null"),
    "stages": (list, "a list of names of files in train/"),
}


class Layer(NamedTuple):
    """What one file says; `origin` is its path, or another name for what is no file."""

    origin: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Config:
    """Layers, later ones on top."""

    layers: tuple[Layer, ...]

    @cached_property
    def values(self) -> dict[str, Any]:
        return reduce(merge, (layer.values for layer in self.layers), {})

    def under(self, *layers: Layer) -> "Config":
        return Config((*self.layers, *layers))

    def origin(self, *path: str) -> str:
        """Where a value of the merged config comes from: the last layer that states it."""
        return next(layer.origin for layer in reversed(self.layers) if _states(layer.values, path))

    def require_read(self, known: Collection[str]) -> None:
        """DataError for a key that nobody reads, with its file."""
        for key in self.values:
            if key not in known:
                raise DataError(f"{self.origin(key)}: {unread(key, known, '`spclap config show` lists the others')}")


def _states(values: Any, path: tuple) -> bool:
    for key in path:
        if not isinstance(values, dict) or key not in values:
            return False
        values = values[key]
    return True


@dataclass(frozen=True)
class Run:
    """A training: its folder's name, names of its files, and the name of the training that it starts from if any."""

    tag: str
    names: tuple[str, ...]
    start: str = ""


def tag_of(model: str, stage: str, ablation: str = "") -> str:
    """Name of a training: [<model>_]<stage>[_<ablation>]."""
    return "_".join(part for part in ("" if model == DEFAULT else model, stage, ablation) if part)


@dataclass(frozen=True)
class Recipe:
    """Folders whose files are laid over those of the same name in `conf`: a corpus's own, and the user's."""

    conf: Path = Path("conf")
    corpus: str = ""
    overlay: Path | None = None
    _seen: dict[Path, dict] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.conf.is_dir():
            raise DataError(f"--conf {self.conf} is not a folder")
        if self.overlay is None:
            return
        if not self.overlay.is_dir():
            raise DataError(f"--conf_overlay {self.overlay} is not a folder")
        if not (files := sorted(self.overlay.rglob("*.yaml"))):
            raise DataError(f"--conf_overlay {self.overlay} holds no .yaml file")
        known = {str(path.relative_to(base)) for base in self.folders[:-1] for path in base.rglob("*.yaml")}
        for path in files:
            if (name := str(path.relative_to(self.overlay))) not in known:
                near = difflib.get_close_matches(name, sorted(known), 1, 0.8)
                hint = f"; did you mean {near[0]}?" if near else f"; conf/README.md says what {self.conf} has"
                raise DataError(f"--conf_overlay: {path} is laid over nothing, there is no {self.conf / name}{hint}")

    @property
    def folders(self) -> list[Path]:
        """From bottom to top."""
        own = Path("egs") / self.corpus / "conf"
        return [self.conf, *([own] if self.corpus and own.is_dir() else []), *filter(None, [self.overlay])]

    def there(self, kind: str) -> list[str]:
        """Names of the files of a folder: model, train or ablation."""
        names = {path.stem for path in Path(self.conf, kind).glob("*.yaml")}
        return sorted(names, key=lambda name: (name != DEFAULT, name))

    def _read(self, path: Path) -> dict[str, Any]:
        if path not in self._seen:
            self._seen[path] = load_yaml(path)
        return self._seen[path]

    def _require(self, kind: str, name: str, who: str) -> None:
        if name not in (there := self.there(kind)):
            path = Path(self.conf, kind, f"{name}.yaml")
            raise DataError(f"{who} {name}: there is no {path}; there are: {' '.join(there) or 'none'}")

    def lineage(self, name: str, below: tuple[str, ...] = ()) -> list[str]:
        """A name after those of its parents, each once; DataError for one that is its own ancestor."""
        path, kind = Path(self.conf, f"{name}.yaml"), name.rpartition("/")[0]
        if name in below:
            raise DataError(f"{path}: `parents` go in a circle: {' -> '.join((*below, name))}; take one away")
        parents = self._read(path).get("parents", []) if kind in ABOUT else []
        if not isinstance(parents, list):
            raise DataError(f"{path}: parents is {parents!r}; write a list of names such as [{DEFAULT}]")
        for parent in parents:
            self._require(kind, parent, f"{path}: parent")
        older = [each for parent in parents for each in self.lineage(f"{kind}/{parent}", (*below, name))]
        return list(dict.fromkeys([*older, name]))

    def files(self, *names: str) -> list[Path]:
        """Files of a run, those on top last; DataError when there is none."""
        return [path for _, path in self._named(*names)]

    def _named(self, *names: str) -> list[tuple[str, Path]]:
        each = [one for name in names for one in self.lineage(name)]
        found = [(one, base / f"{one}.yaml") for base in self.folders for one in dict.fromkeys(each)]
        if not (found := [(one, path) for one, path in found if path.is_file()]):
            raise DataError(f"there is no {names[0]}.yaml in {' or '.join(map(str, self.folders))}")
        return found

    def config(self, *names: str) -> Config:
        """What the files of a run say together, but for what they say about themselves.

        A pre-training takes of a model the part that it trains.
        """
        read = [(name.rpartition("/")[0], path, self._read(path)) for name, path in self._named(*names)]
        task = next((values["task"] for kind, _, values in read if kind == "train" and "task" in values), None)
        layers = []
        for kind, path, values in read:
            kept = {key: value for key, value in values.items() if not self._about_itself(kind, path, key)}
            if kind == "model" and task in TAKEN:
                kept = {key: value for key, value in kept.items() if key in TAKEN[task]}
            layers.append(Layer(str(path), kept))
        return Config(tuple(layers))

    def _about_itself(self, kind: str, path: Path, key: str) -> bool:
        """Whether a key of a file is no part of a config; files that are laid over others have no parents."""
        return key in ABOUT.get(kind, ()) and (key != "parents" or path.parents[1] == self.conf)

    def _about(self, name: str, key: str) -> Any:
        """What the files of a name say about it; DataError when they do not."""
        found = reduce(merge, (self._read(path) for path in self.files(name)), {})
        kind, words = NEEDED[key]
        if key not in found or not isinstance(found[key], kind):
            said = f"{key} is {found[key]!r}" if key in found else f"{key} is missing"
            raise DataError(f"{Path(self.conf, name)}.yaml: {said}; write {words}")
        return found[key]

    def model_of(self, model: str = "", ablation: str = "") -> str:
        """The model that options mean: the one named, that of the ablation, or the default one."""
        if not ablation:
            self._require("model", model or DEFAULT, "--model")
            return model or DEFAULT
        self._require("ablation", ablation, "--ablation")
        path, own = Path(self.conf, "ablation", f"{ablation}.yaml"), self._about(f"ablation/{ablation}", "model")
        self._require("model", own, f"{path}: model")
        if model and model != own:
            raise DataError(f"--model {model}: the ablation {ablation} is one of model {own}; leave --model out")
        if "scl" not in self.stages(own):
            raise DataError(f"{path}: its model {own} has no training scl, which an ablation changes; name another")
        return own

    def stages(self, model: str) -> list[str]:
        """Contrastive trainings of a model."""
        for stage in (stages := self._about(f"model/{model}", "stages")):
            self._require("train", stage, f"{Path(self.conf, 'model', model)}.yaml: stage")
        return stages

    def pretraining(self, model: str) -> Run | None:
        """What a model's spatial encoder learns by first."""
        stage = self._about(f"model/{model}", "pretraining")
        if stage is None:
            return None
        self._require("train", stage, f"{Path(self.conf, 'model', model)}.yaml: pretraining")
        return Run(tag_of(model, stage), (f"model/{model}", f"train/{stage}"))

    def training(self, model: str, stage: str, ablation: str = "") -> Run:
        """A contrastive training; it starts from the model's pre-training unless its config says `init: false`."""
        names = (f"model/{model}", f"train/{stage}", *([f"ablation/{ablation}"] if ablation else []))
        before = self.pretraining(model) if self.config(*names).values.get("init", True) else None
        return Run(tag_of(model, stage, ablation), names, before.tag if before else "")

    def trainings(self, stage: int, model: str = "", ablation: str = "") -> list[Run]:
        """What stage 3, 4 or 6 of run.sh trains, in order."""
        model = self.model_of(model, ablation)
        runs = {name: self.training(model, name) for name in self.stages(model)}
        if stage == 3:
            return [run for run in (self.pretraining(model), runs.get("single")) if run]
        if ablation:
            changed = self.training(model, "scl", ablation)
            if stage == 4:
                return [changed]
            runs["scl"] = changed
        if stage == 4:
            return [run for name, run in runs.items() if name != "single"]
        return [captioner(run) for run in runs.values()]

    def all_runs(self) -> Iterator[Run]:
        """Every training that there could be."""
        for model in self.there("model"):
            yield from (run for stage in (3, 4, 6) for run in self.trainings(stage, model))
        for ablation in self.there("ablation"):
            (changed,) = self.trainings(4, ablation=ablation)
            yield from (changed, captioner(changed))

    def run(self, tag: str) -> Run:
        """The training of a name; DataError with similar names if there is none."""
        runs = {run.tag: run for run in self.all_runs()}
        if tag not in runs:
            near = difflib.get_close_matches(tag, runs, 3)
            hint = f"did you mean {' or '.join(near)}?" if near else "`spclap config list` has all"
            raise DataError(f"no training of {self.conf} is named {tag}; {hint}")
        return runs[tag]


def captioner(run: Run) -> Run:
    """Of a trained model."""
    return Run(f"{run.tag}_{CAPTIONS}", ("train/caption",), run.tag)
