"""conf/simu.yaml and conf/feats.yaml as dataclasses."""

from dataclasses import dataclass

from spclap.data.datadir import SPLITS
from spclap.data.pack import DTYPES
from spclap.scene.rooms import RoomConf


@dataclass(frozen=True)
class SceneConf:
    """The `scenes` section."""

    seconds: float  # s, length of a scene
    level_db: float  # dB, levels of the sources are drawn from +- this
    fixed: dict[str, dict[int, int]]  # split -> number of sources -> scenes written by stage 1


@dataclass(frozen=True)
class SimuConf:
    """The whole file."""

    sample_rate: int  # Hz, that of the encoders
    seed: int  # of rooms and fixed scenes
    rooms: RoomConf
    scenes: SceneConf

    def __post_init__(self):
        if not self.scenes.seconds > 0:
            raise ValueError(f"scenes: seconds is {self.scenes.seconds}, must be above 0")
        if self.rooms.count.keys() != set(SPLITS) or not self.scenes.fixed.keys() <= set(SPLITS):
            raise ValueError(f"rooms: count needs {', '.join(SPLITS)}, and scenes: fixed has no other splits")


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
