"""Rooms, each with one array that hears all its sources.

Paper section "data": shoebox rooms, RT60 130-260 ms, stereo pair, 16 kHz, frontal half plane.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spclap.data.datadir import SPLITS
from spclap.data.progress import progress
from spclap.data.workers import workers
from spclap.errors import DataError
from spclap.scene.bank import save_bank
from spclap.scene.rirs import Listener, absorbs, room_rirs
from spclap.space.array import SAMPLE_RATE, Array, Pair
from spclap.space.directions import DIRECTIONS, direction_of, zone
from spclap.space.family import member


@dataclass(frozen=True)
class RoomConf:
    """A setting of conf/simu.yaml. Ranges are [low, high], drawn uniformly."""

    count: dict[str, int]  # rooms per split
    arrays: dict[str, float]  # families of what hears -> share of the rooms
    places_per_direction: int  # RIRs per room and direction
    length: list[float]  # m
    width: list[float]  # m
    height: list[float]  # m
    rt60: list[float]  # s
    mic_height: list[float]  # m
    source_height: list[float]  # m
    distance: list[float]  # m, horizontal, from the array's middle
    wall_margin: float  # m, least distance of sources and of the array's middle to a wall

    def __post_init__(self):
        for name in ("length", "width", "height", "rt60", "mic_height", "source_height", "distance"):
            bounds = getattr(self, name)
            if not (isinstance(bounds, list) and len(bounds) == 2 and 0 < bounds[0] <= bounds[1]):
                raise ValueError(f"{name} is {bounds}; it must be [low, high], above 0 and in order")
        if type(self.places_per_direction) is not int or self.places_per_direction < 1:
            raise ValueError(f"places_per_direction is {self.places_per_direction}; it must be a whole number above 0")
        if not (_is_number(self.wall_margin) and self.wall_margin > 0):
            raise ValueError(f"wall_margin is {self.wall_margin}; it must be above 0")
        shares = self.arrays.values() if isinstance(self.arrays, dict) else [-1]
        if not all(_is_number(share) and share >= 0 for share in shares) or not self.families:
            raise ValueError(f"arrays is {self.arrays}; it must be array: share, at least one share above 0")
        largest = [member(family, 1.0) for family in self.families]
        reach = max((array.spacing / 2 for array in largest if isinstance(array, Pair)), default=0.1)
        if reach >= self.wall_margin or self.mic_height[1] >= self.height[0]:
            raise ValueError(
                f"a microphone may lie outside a room: wall_margin {self.wall_margin} must be above half the spacing "
                f"{2 * reach}, the highest mic_height {self.mic_height[1]} below the lowest height {self.height[0]}"
            )
        counts = self.count if isinstance(self.count, dict) else {"": 0}
        if few := [
            split for split, count in counts.items() if split not in SPLITS or type(count) is not int or count < 1
        ]:
            raise ValueError(f"count is {self.count}; it must be split: rooms, 1 or more, see `{few[0]}`")

    @property
    def families(self) -> list[str]:
        """Arrays with a share above 0, which an overlay sets to take one away."""
        return [str(family) for family, share in self.arrays.items() if share > 0]

    def draw_array(self, rng: np.random.Generator) -> Array:
        shares = np.array([share for share in self.arrays.values() if share > 0], dtype=float)
        return member(self.families[rng.choice(len(shares), p=shares / shares.sum())], rng)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _draw_place(
    rng: np.random.Generator, conf: RoomConf, size: np.ndarray, listener: Listener, direction: str
) -> np.ndarray | None:
    """A source (3,) that fits into the room and is heard from `direction`, or None after 200 tries."""
    for _ in range(200):
        angle = listener.yaw - np.deg2rad(rng.uniform(*zone(direction)))
        across = rng.uniform(*conf.distance) * np.array([np.cos(angle), np.sin(angle)])
        position = np.array([*(listener.middle[:2] + across), rng.uniform(*conf.source_height)])
        inside = np.all(position > conf.wall_margin) and np.all(position < size - conf.wall_margin)
        if inside and direction_of(listener.lateral(position)) == direction:
            return position
    return None


def _draw_room(rng: np.random.Generator, conf: RoomConf) -> tuple | None:
    """Size (3,) in m, RT60 in s, array and a place for each direction, or None when they do not fit."""
    size = np.array([rng.uniform(*conf.length), rng.uniform(*conf.width), rng.uniform(*conf.height)])
    rt60, array, margin = float(rng.uniform(*conf.rt60)), conf.draw_array(rng), conf.wall_margin
    if not absorbs(rt60, size):
        return None
    middle = np.array([*rng.uniform(margin, size[:2] - margin), rng.uniform(*conf.mic_height)])
    listener, places = Listener(array, middle, rng.uniform(0, 2 * np.pi)), []
    for direction in np.repeat(DIRECTIONS, conf.places_per_direction):
        if (place := _draw_place(rng, conf, size, listener, str(direction))) is None:
            return None
        places.append((str(direction), place))
    return size, rt60, listener, places


def simulate_room(conf: RoomConf, setting: str, name: str, taps: int, seed: list[int]) -> tuple[np.ndarray, list[dict]]:
    """One room: RIRs (5 * places, 2, taps) and their table rows. The same seed gives the same room.

    An azimuth is the angle off the plane in the middle of the channels, which is what these can tell: a source above
    or below the array lies nearer to that plane than a map of the room shows. DataError when no room fits `conf`.
    """
    rng = np.random.default_rng(seed)
    room = next(filter(None, (_draw_room(rng, conf) for _ in range(500))), None)
    if room is None:
        raise DataError(
            f"room {name}: 500 rooms drawn, none holds all places and reaches its RT60; in conf/simu.yaml lower "
            f"distance or widen rt60 (for a larger length and width)"
        )
    size, rt60, listener, places = room
    rirs = room_rirs(size, rt60, listener, np.array([place for _, place in places]), taps)
    common = {"room": name, "setting": setting, "array": str(listener.array), "size": size, "rt60": rt60}
    common |= {"middle": listener.middle, "yaw": listener.yaw}
    rows = [
        {**common, "source": place, "azimuth": listener.lateral(place), "direction": direction}
        for direction, place in places
    ]
    return rirs, rows


def _simulate(job: tuple) -> tuple[np.ndarray, list[dict]]:
    return simulate_room(*job)


def write_bank(path: Path, split: str, settings: dict[str, RoomConf], seconds: float, seed: list[int], nj: int) -> None:
    """Simulate the rooms of a split into `path`; `seconds`, to which RIRs are cut or padded."""
    import pyroomacoustics  # noqa: F401 - once, before the workers

    taps, jobs = round(seconds * SAMPLE_RATE), []
    for number, (setting, conf) in enumerate(settings.items()):
        names = [f"{split}-{setting}-{index:04d}" for index in range(conf.count.get(split, 0))]
        jobs += [(conf, setting, name, taps, [*seed, number, index]) for index, name in enumerate(names)]
    with workers(nj) as pool:
        rooms = pool.map(_simulate, jobs, chunksize=2)
        results = list(progress(rooms, total=len(jobs), desc=f"rooms {split}", unit="room"))
    save_bank(path, np.concatenate([rirs for rirs, _ in results]), [row for _, rows in results for row in rows])
