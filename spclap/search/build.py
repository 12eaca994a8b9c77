"""An index made, or brought up to date: only what is new is heard."""

from dataclasses import dataclass, replace
from pathlib import Path

from spclap.data.audio import MIN_SECONDS
from spclap.data.lock import lock_folder
from spclap.errors import DataError
from spclap.inference import SpatialCLAP
from spclap.search.hearing import hear
from spclap.search.listing import CHANGED, NAME, Listing, digest, look, read_listing, recordings
from spclap.search.shards import Shards, join, joined, windows_of, write_shard
from spclap.space.array import Array

SHARD = 512  # windows that are kept at once, heard in some ten seconds; a recording is kept when it was heard whole
LONGEST = 60.0  # s, of a window


@dataclass(frozen=True)
class Report:
    """files: recordings in the folder; windows: of them, that are searched; heard: recordings that were new; gone:
    those that were there before; bad: name -> why it is left out."""

    files: int
    windows: int
    heard: int
    gone: int
    bad: dict[str, str]


def update(
    out: Path,
    folder: Path,
    model: SpatialCLAP | Path | None = None,
    array: Array | str | None = None,
    window: float | None = None,
    device: str = "cpu",
) -> Report:
    """Bring the index `out` up to date with the recordings in `folder`, or make it.

    What is not given is as it was when the index was made, and at first the released model, its default array and the
    length of the scenes that it learned from, s. A recording is known by its content: it is heard once, wherever it
    lies. A kill loses the recording that is being heard and up to SHARD windows of others, a
    rerun goes on.
    DataError for settings that the index was not made with, while another run is at it, and for a folder without
    recordings.
    """
    out, folder = Path(out), Path(folder).resolve()
    (names, closed), old = recordings(folder), _old(out)
    model, told = _loaded(model, old, device)
    array = model.told(old.array if array is None and old else array)
    window = (old.window if old else model.scene_seconds) if window is None else float(window)
    if not MIN_SECONDS <= window <= LONGEST:
        raise DataError(f"window is {window} s; it must be {MIN_SECONDS} to {LONGEST:.0f} s")
    listing = Listing(str(folder), told, digest(model), str(array), window, model.clap.dim, {})
    with lock_folder(out):
        if old := _old(out):
            old.require_same(listing)
        known = old.files if old else {}
        files, bad = look(folder, names, known)
        kept = tuple(f"{name}/" for name in closed)  # what was heard in folders that cannot be read now
        files |= {name: file for name, file in known.items() if name.startswith(kept)}
        bad |= closed
        listing = replace(listing, files=files)
        listing.write(out)
        heard = _hear_new(out, listing, model, array, bad)
        contents = {bytes.fromhex(file.content) for file in files.values()}
        join(out, listing.dim, contents)
        spans = Shards(out, listing.dim).contents
    windows = sum(last - first for content, (first, last) in spans.items() if content in contents)
    return Report(len(names), windows, heard, len(known.keys() - {*names, *files}), bad)


def _old(out: Path) -> Listing | None:
    """What an index is of, None for a new one; DataError for a folder that holds something else."""
    if (out / NAME).is_file():
        return read_listing(out)
    if out.exists() and (not out.is_dir() or any(not path.name.startswith(".") for path in out.iterdir())):
        raise DataError(f"{out}: is there already and no index; give another --out")
    return None


def _loaded(model: SpatialCLAP | Path | None, old: Listing | None, device: str) -> tuple[SpatialCLAP, str]:
    """A model and how the index names it."""
    if isinstance(model, SpatialCLAP):
        return model, str(model.folder.resolve()) if model.folder else ""
    told = str(Path(model).resolve()) if model else old.model if old else ""
    return SpatialCLAP.from_pretrained(told or None, device), told


def _hear_new(out: Path, listing: Listing, model: SpatialCLAP, array: Array, bad: dict[str, str]) -> int:
    """Hear what no shard has, and say in `bad` what cannot be; returns how many contents were heard."""
    known, first = Shards(out, listing.dim).contents, {}
    for name, file in listing.files.items():
        if bytes.fromhex(file.content) not in known:
            first.setdefault(file.content, name)
    names = {listing.path(name): name for name in first.values()}
    sizes = {path: listing.files[name].size for path, name in names.items()}
    held, heard = [], 0
    try:
        for path, found in hear(model, sizes, array, listing.window):
            name = names[path]
            if isinstance(found, DataError):
                bad[name] = str(found)
            elif listing.state(name) == CHANGED:
                bad[name] = f"{path}: changed while it was heard; run again"
            else:
                new = windows_of(bytes.fromhex(listing.files[name].content), found)
                held = [joined([*held, new])]  # one piece of memory: many small ones leave holes, 2 MB a file
                heard += 1
            if sum(map(len, held)) >= SHARD:
                write_shard(out, held)
                held = []
    finally:
        write_shard(out, held)
    for name, file in listing.files.items():
        if (other := first.get(file.content)) in bad and name not in bad:
            bad[name] = f"{listing.path(name)}: has the content of {other}, which is left out"
    return heard
