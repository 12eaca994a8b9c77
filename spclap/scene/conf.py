"""conf/simu.yaml and conf/feats.yaml as dataclasses."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from spclap.data.config import parse
from spclap.data.datadir import SPLITS
from spclap.data.pack import DTYPES
from spclap.errors import DataError
from spclap.scene.rooms import RoomConf
from spclap.scene.sounds import SoundConf

CLEAN = "clean"  # the setting of sounds in which models are compared if nothing else is said


@dataclass(frozen=True)
class SceneConf:
    """The `scenes` section."""

    seconds: float  # s, length of a scene
    rooms: str  # setting of the fixed scenes
    fixed: dict[str, dict[str, dict[int, int]]]  # sounds -> split -> number of sources -> scenes written by stage 1


@dataclass(frozen=True)
class SimuConf:
    """The whole file."""

    seed: int  # of rooms and fixed scenes
    rir_seconds: float  # s, RIRs are cut or padded to this
    rooms: dict[str, Any]  # what every setting has, see RoomConf
    settings: dict[str, dict[str, Any]]  # name -> what its rooms have of their own
    sounds: dict[str, dict[str, Any]]  # name -> see SoundConf
    scenes: SceneConf

    def __post_init__(self):
        for name, value in (("rir_seconds", self.rir_seconds), ("scenes: seconds", self.scenes.seconds)):
            if not value > 0:
                raise ValueError(f"{name} is {value}, must be above 0")
        for name, splits in {CLEAN: {}, **self.scenes.fixed}.items():
            if name not in (there := self.sounds or {}):
                raise ValueError(f"sounds: no setting {name}, which fixed scenes have; there are {', '.join(there)}")
            if not splits.keys() <= set(SPLITS):
                raise ValueError(f"scenes: fixed: {name} has splits {', '.join(splits)}; there are {', '.join(SPLITS)}")
        named = [set(own or ()) for own in (self.settings or {}).values()]
        if not (named and all(isinstance(own, dict) for own in (self.rooms, *self.settings.values()))):
            raise ValueError("rooms must be `key: value` lines, and settings the names of some")
        if idle := set(self.rooms).intersection(*named):
            raise ValueError(f"rooms: {min(idle)} is what every setting says itself; change it there")
        if self.scenes.rooms not in self.settings:
            raise ValueError(f"scenes: rooms is {self.scenes.rooms}; the settings are {', '.join(self.settings)}")
        for split in SPLITS:
            if not self.room_confs[self.scenes.rooms].count.get(split):
                raise ValueError(f"settings: {self.scenes.rooms}: count has no {split}")
        self.sounding(self.sounds)

    @cached_property
    def room_confs(self) -> dict[str, RoomConf]:
        """DataError for one that no room can be drawn from."""
        return {name: self.room_conf(own, f"settings: {name}") for name, own in self.settings.items()}

    @cached_property
    def sound_confs(self) -> dict[str, SoundConf]:
        """DataError for one that no scene can be drawn from."""
        return {name: parse(SoundConf, own, f"sounds: {name}") for name, own in self.sounds.items()}

    def sounding(self, names: Collection[str]) -> list[SoundConf]:
        """Settings of sounds, CLEAN if none is named; DataError for one that there is not."""
        if unknown := [name for name in names if name not in self.sound_confs]:
            raise DataError(f"sounds: no setting {unknown[0]}; there are {', '.join(self.sound_confs)}")
        return [self.sound_confs[name] for name in names or [CLEAN]]

    def arrays(self, settings: Collection[str]) -> list[str]:
        """Families of what hears in rooms of these settings, of those of the fixed scenes if none is named; DataError
        for a setting that there is not."""
        names = list(settings) or [self.scenes.rooms]
        if unknown := [name for name in names if name not in self.room_confs]:
            raise DataError(f"rooms: no setting {unknown[0]}; there are {', '.join(self.room_confs)}")
        return list(dict.fromkeys(family for name in names for family in self.room_confs[name].families))

    def room_conf(self, own: dict[str, Any], where: str) -> RoomConf:
        """Rooms as all are but for what they have of their own."""
        return parse(RoomConf, {**self.rooms, **own}, where)


@dataclass(frozen=True)
class ClipConf:
    """The `clips` section of conf/feats.yaml."""

    resample: bool
    mixdown: bool
    min_seconds: float  # s
    silence_db: float  # dB
    max_silence: float | None  # s; None: silences stay
    dtype: str

    def __post_init__(self):
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype is {self.dtype!r}; it must be one of {', '.join(DTYPES)}")


@dataclass(frozen=True)
class FeatsConf:
    """The whole file."""

    clips: ClipConf
    vocab_size: int  # sentencepiece tokens
    statistics_scenes: int  # of training, for mean and deviation of the spatial input
