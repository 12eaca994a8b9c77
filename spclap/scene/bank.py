"""Banks of room impulse responses (RIRs) on disk, with the geometry of each and the array that hears it."""

import json
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from spclap.data.files import atomic_path
from spclap.errors import DataError
from spclap.space.array import Array, array_of
from spclap.space.directions import DIRECTIONS, zone

_AGAIN = "delete the folder and rerun stage 1"
COLUMNS = {"room": str, "setting": str, "array": str, "direction": str, "azimuth": float}


def save_bank(path: Path, rirs: np.ndarray, rows: list[dict]) -> None:
    """Write what `RirBank` reads: RIRs (n, 2, taps) and a row per RIR with COLUMNS at least."""
    plain = [
        {k: json.dumps(np.round(v, 5).tolist()) if isinstance(v, np.ndarray) else v for k, v in row.items()}
        for row in rows
    ]
    with atomic_path(path / "rirs.npy") as temporary, temporary.open("wb") as file:
        np.save(file, rirs)
    with atomic_path(path / "table.csv") as temporary:
        pd.DataFrame(plain).to_csv(temporary, index=False)


class RirBank:
    """RIRs of a split with their geometry. `rirs` is (n, 2, taps), `table` one row per RIR."""

    def __init__(self, path: Path):
        """Open what `save_bank` wrote; DataError when it is missing, damaged or something else."""
        self.path = Path(path)
        self.rirs, self.table = _read_rirs(self.path / "rirs.npy"), _read_table(self.path / "table.csv")
        if len(self.table) != len(self.rirs):
            raise DataError(f"{path}: {len(self.rirs)} RIRs but {len(self.table)} table rows; {_AGAIN}")
        self._rows = {key: group.index.to_numpy() for key, group in self.table.groupby(["room", "direction"])}
        rooms = self.table.groupby("room").first()
        self._arrays = {room: array_of(text) for room, text in rooms.array.items()}
        self._settings = rooms.setting.to_dict()

    def rooms(self, settings: Collection[str] = ()) -> list[str]:
        """Names of rooms of these settings, of all if none is named; DataError for a setting that the bank lacks."""
        if lacking := sorted(set(settings) - (there := set(self._settings.values()))):
            raise DataError(f"{self.path}: has no rooms of setting {lacking[0]}, but of {', '.join(sorted(there))}")
        return sorted(room for room, setting in self._settings.items() if not settings or setting in settings)

    def array(self, room: str) -> Array:
        """What hears the sounds of a room."""
        return self._arrays[room]

    def rows(self, room: str, direction: str) -> np.ndarray:
        """Rows of the bank that lie in `direction` in `room`; DataError when there is none."""
        if (room, direction) not in self._rows:
            raise DataError(f"{self.path / 'table.csv'}: room {room} has no RIR in direction {direction}; {_AGAIN}")
        return self._rows[room, direction]


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
    """Geometry of RIRs; DataError unless it has COLUMNS, and directions with azimuths in them."""
    if not path.is_file():
        raise DataError(f"{path}: missing; run stage 1 (simulate) first")
    try:
        table = pd.read_csv(path, dtype=COLUMNS)
    except ValueError as error:
        raise DataError(f"{path}: not the table of a bank: {' '.join(str(error).split())}; {_AGAIN}") from error
    if lacking := sorted(COLUMNS.keys() - set(table.columns)):
        raise DataError(f"{path}: has no column {lacking[0]}; {_AGAIN}")
    for row in table.itertuples():
        if not isinstance(row.room, str) or row.direction not in DIRECTIONS or not _inside(row.azimuth, row.direction):
            raise DataError(f"{path}: row {row.Index}: {row.azimuth} degrees, {row.direction!r} do not fit; {_AGAIN}")
    return table


def _inside(azimuth: float, direction: str) -> bool:
    low, high = zone(direction)
    return low <= azimuth <= high
