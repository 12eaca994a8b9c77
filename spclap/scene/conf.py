"""conf/simu.yaml as dataclasses."""

from dataclasses import dataclass

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

    sample_rate: int  # Hz
    seed: int  # of rooms and fixed scenes
    rooms: RoomConf
    scenes: SceneConf

    def __post_init__(self):
        if not self.scenes.seconds > 0:
            raise ValueError(f"scenes: seconds is {self.scenes.seconds}, must be above 0")
        wanted, rooms = self.scenes.fixed.keys() | {"train"}, self.rooms.count.keys()
        if absent := sorted(wanted - rooms):
            raise ValueError(f"rooms: count has no {absent[0]}, which `scenes: fixed` or training needs")
