"""Rooms and room impulse responses (RIRs) by the image-source method (pyroomacoustics).

Paper section "data": shoebox rooms, RT60 130-260 ms, stereo pair, 16 kHz, frontal half plane.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from spclap.data.files import atomic_path
from spclap.data.progress import progress
from spclap.data.workers import workers
from spclap.errors import DataError
from spclap.scene.directions import DIRECTIONS, zone

SPEED_OF_SOUND = 343.0  # m/s, pyroomacoustics' default


@dataclass(frozen=True)
class RoomConf:
    """The `rooms` section of conf/simu.yaml. Ranges are [low, high], drawn uniformly."""

    count: dict[str, int]  # rooms per split
    places_per_direction: int  # RIRs per room and direction
    length: list[float]  # m
    width: list[float]  # m
    height: list[float]  # m
    rt60: list[float]  # s
    spacing: float | list[float]  # m, between the two microphones; [low, high] is drawn for each room
    mic_height: list[float]  # m
    source_height: list[float]  # m
    distance: list[float]  # m, horizontal, from the centre of the pair
    wall_margin: float  # m, least distance of sources and of the middle of the pair to a wall
    rir_seconds: float  # s, RIRs are cut or padded to this

    def __post_init__(self):
        for name in ("length", "width", "height", "rt60", "mic_height", "source_height", "distance"):
            bounds = getattr(self, name)
            if not (isinstance(bounds, list) and len(bounds) == 2 and 0 < bounds[0] <= bounds[1]):
                raise ValueError(f"{name} is {bounds}; it must be [low, high], above 0 and in order")
        low, high = self.spacings
        if not 0 < low <= high:
            raise ValueError(f"spacing is {self.spacing}; it must be a length or [low, high], above 0 and in order")
        for name in ("places_per_direction", "wall_margin", "rir_seconds"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0")
        if high / 2 >= self.wall_margin or self.mic_height[1] >= self.height[0]:
            raise ValueError(
                f"a microphone may lie outside a room: wall_margin {self.wall_margin} must be above half the spacing "
                f"{self.spacing}, the highest mic_height {self.mic_height[1]} below the lowest height {self.height[0]}"
            )
        if few := [split for split, count in self.count.items() if count < 1]:
            raise ValueError(f"count of {few[0]} is {self.count[few[0]]}; it must be 1 or more")

    @property
    def spacings(self) -> tuple[float, float]:
        """Least and largest spacing, m."""
        low, high = self.spacing if isinstance(self.spacing, list) else (self.spacing, self.spacing)
        return low, high


def _pair(center: np.ndarray, yaw: float, spacing: float) -> np.ndarray:
    """(3, 2) microphone positions; channel 0 is left when looking along `yaw` (radians, from +x to +y)."""
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    return np.stack([center - right * spacing / 2, center + right * spacing / 2], axis=1)


def _source_position(center: np.ndarray, yaw: float, azimuth: float, distance: float, height: float) -> np.ndarray:
    angle = yaw - np.deg2rad(azimuth)
    return np.array([center[0] + distance * np.cos(angle), center[1] + distance * np.sin(angle), height])


def _draw_place(rng: np.random.Generator, conf: RoomConf, size: np.ndarray, direction: str) -> tuple | None:
    """A pair and a source in `direction` that fit into the room, or None after 200 tries."""
    margin = conf.wall_margin
    for _ in range(200):
        center = np.array([*rng.uniform(margin, size[:2] - margin), rng.uniform(*conf.mic_height)])
        yaw = rng.uniform(0, 2 * np.pi)
        azimuth = rng.uniform(*zone(direction))
        position = _source_position(center, yaw, azimuth, rng.uniform(*conf.distance), rng.uniform(*conf.source_height))
        if np.all(position > margin) and np.all(position < size - margin):
            return center, yaw, azimuth, position
    return None


def _absorbs(rt60: float, size: np.ndarray) -> bool:
    """Whether walls that absorb less than everything give that RT60 (Sabine)."""
    volume, surface = np.prod(size), 2 * (size[0] * size[1] + size[0] * size[2] + size[1] * size[2])
    return 24 * np.log(10) * volume / (SPEED_OF_SOUND * surface * rt60) < 1


def image_source_rirs(
    size: np.ndarray, rt60: float, microphones: np.ndarray, sources: np.ndarray, sample_rate: int, taps: int
) -> np.ndarray:
    """RIRs of a shoebox room.

    Args: size (3,) m; rt60 s; microphones (3, 2) m; sources (n, 3) m. Returns (n, 2, taps) float32.
    Raises ValueError when Sabine's formula gives no absorption for that RT60 in a room of that size.
    """
    import pyroomacoustics as pra

    absorption, order = pra.inverse_sabine(rt60, size)
    room = pra.ShoeBox(size, fs=sample_rate, materials=pra.Material(absorption), max_order=order)
    room.add_microphone_array(microphones)
    for source in sources:
        room.add_source(source)
    room.compute_rir()
    out = np.zeros((len(sources), 2, taps), dtype=np.float32)
    for channel in range(2):
        for index in range(len(sources)):
            rir = room.rir[channel][index][:taps]
            out[index, channel, : len(rir)] = rir
    return out


def simulate_room(conf: RoomConf, sample_rate: int, name: str, seed: list[int]) -> tuple[np.ndarray, list[dict]]:
    """One room: RIRs (5 * places, 2, taps) and their table rows. The same seed gives the same room.

    Every place has a pair of its own in the room, all of one spacing: what a source sends to the pair is as physics has
    it, but the sources of a scene stand around different points of their room. DataError when no room fits `conf`.
    """
    rng = np.random.default_rng(seed)
    taps = round(conf.rir_seconds * sample_rate)
    for _ in range(50):
        size = np.array([rng.uniform(*conf.length), rng.uniform(*conf.width), rng.uniform(*conf.height)])
        rt60 = float(rng.uniform(*conf.rt60))
        places = [
            (direction, _draw_place(rng, conf, size, direction))
            for direction in DIRECTIONS
            for _ in range(conf.places_per_direction)
        ]
        if _absorbs(rt60, size) and all(place is not None for _, place in places):
            break
    else:
        raise DataError(
            f"room {name}: 50 rooms drawn, none holds all places and reaches its RT60; in conf/simu.yaml lower "
            f"rooms.distance or widen rooms.rt60 (for a larger length and width)"
        )
    spacing, rirs, rows = rng.uniform(*conf.spacings), [], []
    for direction, (center, yaw, azimuth, position) in places:
        microphones = _pair(center, yaw, spacing)
        rirs.append(image_source_rirs(size, rt60, microphones, position[None], sample_rate, taps))
        rows.append(
            dict(
                room=name,
                size=size,
                rt60=rt60,
                mics=microphones.T,
                source=position,
                azimuth=azimuth,
                direction=direction,
            )
        )
    return np.concatenate(rirs), rows


def _simulate(job: tuple) -> tuple[np.ndarray, list[dict]]:
    return simulate_room(*job)


def write_bank(path: Path, split: str, conf: RoomConf, sample_rate: int, seed: list[int], nj: int) -> None:
    """Simulate the rooms of a split into `path`: rirs.npy (n, 2, taps) float32 and table.csv."""
    import pyroomacoustics  # noqa: F401 - once, before the workers

    jobs = [(conf, sample_rate, f"{split}-{i:04d}", [*seed, i]) for i in range(conf.count[split])]
    with workers(nj) as pool:
        rooms = pool.map(_simulate, jobs, chunksize=2)
        results = list(progress(rooms, total=len(jobs), desc=f"rooms {split}", unit="room"))
    rows = [
        {
            key: json.dumps(np.round(value, 5).tolist()) if isinstance(value, np.ndarray) else value
            for key, value in r.items()
        }
        for _, room_rows in results
        for r in room_rows
    ]
    save_bank(path, np.concatenate([rirs for rirs, _ in results]), rows)


def save_bank(path: Path, rirs: np.ndarray, rows: list[dict]) -> None:
    """Write what `RirBank` reads: RIRs (n, 2, taps) and a row per RIR with room, azimuth and direction at least."""
    with atomic_path(path / "rirs.npy") as temporary, temporary.open("wb") as file:
        np.save(file, rirs)
    with atomic_path(path / "table.csv") as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)


class RirBank:
    """RIRs of a split with their geometry. `rirs` is (n, 2, taps), `table` one row per RIR."""

    def __init__(self, path: Path):
        """Open what `save_bank` wrote; DataError when it is missing, damaged or something else."""
        self.path = Path(path)
        self.rirs, self.table = _read_rirs(self.path / "rirs.npy"), _read_table(self.path / "table.csv")
        if len(self.table) != len(self.rirs):
            raise DataError(f"{path}: {len(self.rirs)} RIRs but {len(self.table)} table rows; {_AGAIN}")
        self.rooms = sorted(self.table.room.unique())
        self._rows = {key: group.index.to_numpy() for key, group in self.table.groupby(["room", "direction"])}

    def rows(self, room: str, direction: str) -> np.ndarray:
        """Rows of the bank that lie in `direction` in `room`; DataError when there is none."""
        if (room, direction) not in self._rows:
            raise DataError(f"{self.path / 'table.csv'}: room {room} has no RIR in direction {direction}; {_AGAIN}")
        return self._rows[room, direction]


_AGAIN = "delete the folder and rerun stage 1"


def _read_rirs(path: Path) -> np.ndarray:
    """(n, 2, taps) float32, mapped; DataError for anything else, and for a channel that is silent or not finite."""
    if not path.is_file():
        raise DataError(f"{path}: missing; run stage 1 (simulate) first")
    try:
        rirs = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: damaged: {' '.join(str(error).split())}; {_AGAIN}") from error
    shape = getattr(rirs, "shape", "a collection")
    if len(shape) != 3 or shape[1] != 2 or not shape[0] or rirs.dtype != np.float32:
        raise DataError(f"{path}: {shape} of {getattr(rirs, 'dtype', 'arrays')}, not (RIRs, 2, taps) float32; {_AGAIN}")
    peaks = np.maximum(rirs.max(axis=2), -rirs.min(axis=2))
    if len(bad := np.argwhere(~(np.isfinite(peaks) & (peaks > 0)))):
        raise DataError(f"{path}: RIR {bad[0, 0]}, channel {bad[0, 1]}: silent or not finite; {_AGAIN}")
    return rirs


def _read_table(path: Path) -> pd.DataFrame:
    """Geometry of RIRs; DataError unless it has rooms and directions with azimuths in them."""
    if not path.is_file():
        raise DataError(f"{path}: missing; run stage 1 (simulate) first")
    try:
        table = pd.read_csv(path, dtype={"room": str, "direction": str, "azimuth": float})
    except ValueError as error:
        raise DataError(f"{path}: not the table of a bank: {' '.join(str(error).split())}; {_AGAIN}") from error
    if lacking := sorted({"room", "direction", "azimuth"} - set(table.columns)):
        raise DataError(f"{path}: has no column {lacking[0]}; {_AGAIN}")
    for row in table.itertuples():
        if not isinstance(row.room, str) or row.direction not in DIRECTIONS or not _inside(row.azimuth, row.direction):
            raise DataError(f"{path}: row {row.Index}: {row.azimuth} degrees, {row.direction!r} do not fit; {_AGAIN}")
    return table


def _inside(azimuth: float, direction: str) -> bool:
    low, high = zone(direction)
    return low <= azimuth <= high
