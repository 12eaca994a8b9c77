"""SOFA files (AES69) and folders of recordings as measured responses."""

import warnings
from pathlib import Path

import numpy as np
import soundfile

from spclap.errors import DataError
from spclap.space.measured import Head, check_sides, resampled

IN_ROOM = {
    "SimpleFreeFieldHRIR": False, "MultiSpeakerBRIR": True, "SingleRoomSRIR": True, "SingleRoomMIMOSRIR": True
}  # fmt: skip
TABLE = "azimuths.csv"  # beside wavs: their names, and degrees, negative left
WAYS = {"clockwise": "its azimuths run clockwise", "exchanged": "its channels are exchanged"}


def read_head(path: Path, sample_rate: int, way: str = "") -> Head:
    """Responses of a SOFA file, or of a folder of two-channel wavs, at `sample_rate` Hz.

    Args: way, a key of WAYS that says what a file's metadata have wrong. DataError for what cannot be read, and where
    sounds from 45 degrees to a side are not louder and earlier in the channel of that side.
    """
    head = _read_folder(path, sample_rate) if path.is_dir() else _read_sofa(path, sample_rate)
    if way == "clockwise":
        head = Head(head.responses, -head.azimuth, head.elevation, head.in_room)
    elif way == "exchanged":
        head = Head(head.responses[:, ::-1], head.azimuth, head.elevation, head.in_room)
    ways = [(word, says) for word, says in WAYS.items() if word != way]
    out = " or ".join(f"if {says}, write head:{path}:{word} (`way: {word}` in conf/places.yaml)" for word, says in ways)
    check_sides(path, head, f"sound and metadata disagree: {out}")
    return head


def _read_folder(path: Path, sample_rate: int) -> Head:
    """azimuths.csv has columns file and azimuth (degrees, negative left), and elevation if not 0."""
    import pandas as pd  # takes half a second

    table = path / TABLE
    if not table.is_file():
        raise DataError(f"{table}: missing; write a line for each wav: file,azimuth with degrees, negative left")
    try:
        rows = pd.read_csv(table)
        azimuth = rows["azimuth"].to_numpy(dtype=float)
        elevation = rows["elevation"].to_numpy(dtype=float) if "elevation" in rows else np.zeros(len(rows))
        names = [str(name) for name in rows["file"]]
    except (KeyError, ValueError) as error:
        raise DataError(f"{table}: {error}; it needs columns file and azimuth with numbers") from error
    if not len(rows) or not np.isfinite([azimuth, elevation]).all() or np.abs(azimuth).max() > 180:
        raise DataError(f"{table}: needs at least one line, and degrees within [-180, 180]")
    found = [_read_wav(path / name) for name in names]
    longest, rates = max(len(audio) for audio, _ in found), {rate for _, rate in found}
    if len(rates) > 1:
        raise DataError(f"{path}: files of {min(rates)} and {max(rates)} Hz; all must have one rate")
    responses = np.stack([np.pad(audio, ((0, longest - len(audio)), (0, 0))).T for audio, _ in found])
    return Head(resampled(responses, rates.pop(), sample_rate), azimuth, elevation, in_room=True)


def _read_wav(path: Path) -> tuple[np.ndarray, int]:
    """(samples, 2) and Hz."""
    try:
        audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise DataError(f"{path}: not readable as audio: {error}; {TABLE} names it") from error
    if audio.shape[1] != 2 or not len(audio) or not np.isfinite(audio).all():
        raise DataError(f"{path}: {audio.shape[1]} channels of {len(audio)} samples; it must have two, finite")
    return audio, rate


def _read_sofa(path: Path, sample_rate: int) -> Head:
    """Every pair of measurement and emitter is a response from where the emitter is, seen from the listener."""
    try:
        import sofar
    except ImportError:
        raise DataError(
            f"{path}: reading SOFA files needs the package sofar; run `pip install 'spclap[sofa]'`"
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it tells of conventions that have a newer version
            sofa = sofar.read_sofa(str(path), verify=False, verbose=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not readable as SOFA: {error}; docs/arrays.md says where to get one") from error
    try:
        return _head(path, sofa, sample_rate)
    except DataError:
        raise
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not whole, as its convention wants it: {error}; get the file anew") from error


def _head(path: Path, sofa, sample_rate: int) -> Head:
    if (convention := sofa.GLOBAL_SOFAConventions) not in IN_ROOM:
        raise DataError(f"{path}: convention {convention}; there are readers for {', '.join(IN_ROOM)}")
    measured = np.asarray(sofa.Data_IR, dtype=float)
    if measured.ndim == 3:
        measured = measured[:, :, None]  # (M, receivers, emitters, taps)
    elif convention == "SingleRoomMIMOSRIR":
        measured = np.moveaxis(measured, 3, 2)
    rate, left_first = float(np.squeeze(sofa.Data_SamplingRate)), _left_first(path, sofa, measured.shape[1])
    delays = np.broadcast_to(np.atleast_3d(np.asarray(sofa.Data_Delay, dtype=float)), measured.shape[:3])
    if not (np.isfinite(measured).all() and np.isfinite(delays).all() and 1000 <= rate < 1e6):
        raise DataError(
            f"{path}: responses or delays are not finite, or the rate of {rate} Hz is not within [1000, 1e6)"
        )
    late = _delayed(measured, delays)[:, left_first]
    toward = _toward(path, sofa, *measured.shape[::2])
    ahead, left, up = np.moveaxis(toward.reshape(-1, 3), 1, 0)
    azimuth, elevation = np.arctan2(-left, ahead), np.arctan2(up, np.hypot(ahead, left))
    responses = np.moveaxis(late, 2, 1).reshape(-1, 2, late.shape[-1])
    heard = resampled(responses, rate, sample_rate)
    return Head(heard, np.rad2deg(azimuth), np.rad2deg(elevation), IN_ROOM[convention])


def _left_first(path: Path, sofa, receivers: int) -> list[int]:
    """Order of channels that puts the left receiver first."""
    places = _points(sofa, "Receiver")[..., 0]
    if receivers != 2 or len(places) != 2 or abs(places[0, 1] - places[1, 1]) < 1e-3:
        raise DataError(
            f"{path}: receivers at {places.tolist()} m; there must be two, one further left (y) than the other"
        )
    return [0, 1] if places[0, 1] > places[1, 1] else [1, 0]


def _points(sofa, what: str) -> np.ndarray:
    """Positions of receivers or emitters, (R, 3, I) in m, x ahead, y to the left, z up."""
    places = np.asarray(getattr(sofa, f"{what}Position"), dtype=float)
    places = places[..., None] if places.ndim == 2 else places
    if getattr(sofa, f"{what}Position_Type") == "spherical":
        places = np.moveaxis(_cartesian(np.moveaxis(places, 1, -1)), -1, 1)
    return places


def _vectors(sofa, name: str, said_by: str) -> np.ndarray:
    """Positions or views, (I or M, 3), cartesian."""
    values = np.atleast_2d(np.asarray(getattr(sofa, name), dtype=float))
    return _cartesian(values) if getattr(sofa, f"{said_by}_Type", "cartesian") == "spherical" else values


def _cartesian(positions: np.ndarray) -> np.ndarray:
    """(..., 3) azimuth and elevation in degrees and radius -> (..., 3) x, y, z."""
    azimuth, elevation, radius = np.deg2rad(positions[..., 0]), np.deg2rad(positions[..., 1]), positions[..., 2]
    across = radius * np.cos(elevation)
    return np.stack([across * np.cos(azimuth), across * np.sin(azimuth), radius * np.sin(elevation)], axis=-1)


def _toward(path: Path, sofa, measurements: int, emitters: int) -> np.ndarray:
    """(M, E, 3) from the listener to each emitter: ahead, to the left, up, as the listener looks."""
    view = _vectors(sofa, "ListenerView", "ListenerView")
    up = _vectors(sofa, "ListenerUp", "ListenerView")
    ahead = view / np.linalg.norm(view, axis=-1, keepdims=True)
    left = np.cross(up, ahead)
    left = left / np.linalg.norm(left, axis=-1, keepdims=True)
    frame = np.stack(np.broadcast_arrays(ahead, left, np.cross(ahead, left)), axis=-2)  # (I or M, 3, 3)
    source = _vectors(sofa, "SourcePosition", "SourcePosition")
    away = source - _vectors(sofa, "ListenerPosition", "ListenerPosition")
    spread = np.moveaxis(_points(sofa, "Emitter"), -1, 0)  # (I or M, E, 3), from the source
    turned = _vectors(sofa, "SourceView", "SourceView") if hasattr(sofa, "SourceView") else np.array([[1.0, 0, 0]])
    if emitters > 1 and not np.allclose(turned / np.linalg.norm(turned, axis=-1, keepdims=True), (1, 0, 0), atol=0.01):
        raise DataError(f"{path}: several emitters on a source that looks to {turned[0].tolist()}; turn it to 1, 0, 0")
    points = away[:, None] + (spread if emitters > 1 else 0)
    if not np.isfinite(points).all() or (np.linalg.norm(points, axis=-1) < 1e-3).any():
        raise DataError(
            f"{path}: a source stands where the listener is, so it has no direction; correct SourcePosition"
        )
    points = np.broadcast_to(points, (measurements, emitters, 3))
    return np.einsum("mij,mej->mei", np.broadcast_to(frame, (measurements, 3, 3)), points)


def _delayed(responses: np.ndarray, delays: np.ndarray) -> np.ndarray:
    """(..., taps) later by (...,) samples, which need not be whole."""
    if not delays.any():
        return responses
    room = responses.shape[-1] + int(np.ceil(delays.max()))
    spectrum = np.fft.rfft(responses, room) * np.exp(-2j * np.pi * np.fft.rfftfreq(room) * delays[..., None])
    return np.fft.irfft(spectrum, room)
