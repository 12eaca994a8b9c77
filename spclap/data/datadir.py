"""Kaldi-style data directories and atomic writes.

A split directory holds `wav.scp` (clip_id path), `text` (caption_id caption), `caption2clip`
(caption_id clip_id), `utt2label` (clip_id label[,label]) and `clip2source` (clip_id recording_id),
each sorted by key (LC_ALL=C) without duplicates. `utt2event` (clip_id event[,event]) may say which sound events a clip
holds, where these are not its kind alone.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from spclap.errors import DataError

__all__ = [
    "SPLITS",
    "Clip",
    "DataError",
    "atomic_path",
    "atomic_write_text",
    "check_splits",
    "load_datadir",
    "read_table",
    "scp_path",
    "write_datadir",
    "write_splits",
    "write_table",
]

SPLITS = ("train", "valid", "test")
SHOWN = 5  # keys listed in an error before "..."


@dataclass(frozen=True)
class Clip:
    """A dry recording.

    captions: the specific one first. labels: the most specific first, the kind (SELD class) last.
    source: id of the original recording; clips of one source stay in one split. events: what SELD can learn to hear
    in it; the kind where none are given.
    """

    id: str
    path: str
    captions: tuple[str, ...]
    labels: tuple[str, ...]
    source: str
    events: tuple[str, ...] = ()


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it on success and removed on any error.

    An OSError of the body (disk full, no permission) is raised as DataError naming `path`.
    """
    path = Path(path)
    temporary = path.with_name(f".tmp-{path.name}")  # one name, so a rerun after a kill replaces it
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except UnicodeEncodeError as error:
        bad = ascii(error.object[max(0, error.start - 30) : error.end + 10])
        raise DataError(f"{path}: {bad} is not UTF-8; rename that file and rerun") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error}; nothing was left behind, fix it and rerun") from error
    finally:
        temporary.unlink(missing_ok=True)


def atomic_write_text(path: Path, text: str) -> None:
    """Write UTF-8 text by way of a temporary name."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _listed(keys) -> str:
    """`a, b, c, ...` of the first keys in order."""
    keys = sorted(keys)
    return ", ".join(keys[:SHOWN]) + (f", ... ({len(keys)} in all)" if len(keys) > SHOWN else "")


def read_table(path: Path) -> dict[str, str]:
    """Read `key value` lines.

    Raises DataError with file and line for a missing file, an empty line, a key without value, a duplicate
    key and an unsorted key.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        raise DataError(f"{path}: file not found; stage 0 makes it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    if lines[-1] == "":
        lines.pop()
    table: dict[str, str] = {}
    last = ""
    for number, line in enumerate(lines, 1):
        key, _, value = line.partition(" ")
        value = value.strip()
        if not line.strip():
            raise DataError(f"{path}:{number}: empty line; remove it")
        if not key or not value:
            raise DataError(f"{path}:{number}: key `{key}` has no value; write `key value` or remove the line")
        if key in table:
            raise DataError(f"{path}:{number}: duplicate key `{key}`; keep one line of it")
        if key < last:
            raise DataError(f"{path}:{number}: key `{key}` comes after `{last}`; sort with LC_ALL=C sort -k1,1")
        table[key] = value
        last = key
    return table


def _table_text(path: Path, table: dict[str, str]) -> str:
    """Sorted lines of a table; DataError for a key with white space and for a value that is not one line."""
    for key, value in table.items():
        if not key or key.split() != [key]:
            raise DataError(f"{path}: key {key!r} is empty or has white space; rename it")
        if not value.strip() or len(value.splitlines()) != 1:
            raise DataError(f"{path}: value of `{key}` is {value!r}; it must be one line of text")
    return "".join(f"{key} {table[key].strip()}\n" for key in sorted(table))


def write_table(path: Path, table: dict[str, str]) -> None:
    """Write `key value` lines, sorted, atomically."""
    atomic_write_text(path, _table_text(path, table))


def _same_keys(folder: Path, name: str, keys, other_name: str, other_keys, hint: str) -> None:
    """DataError unless two sets of keys are equal; names some of the difference."""
    missing, extra = set(other_keys) - set(keys), set(keys) - set(other_keys)
    if missing:
        raise DataError(f"{folder / name}: {hint} for {_listed(missing)}, which {other_name} has; add or rerun stage 0")
    if extra:
        raise DataError(f"{folder / other_name}: lacks {_listed(extra)}, which {name} has; add or rerun stage 0")


def load_datadir(path: Path) -> list[Clip]:
    """Read a split directory as clips sorted by id.

    Raises DataError for anything `read_table` refuses, tables that do not fit each other, a clip without
    caption or label, and a split without clips. Audio files are not looked at.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise DataError(f"{folder}: data directory not found; stage 0 makes it")
    paths = read_table(folder / "wav.scp")
    if not paths:
        raise DataError(f"{folder / 'wav.scp'}: the split has no clips; add some or rerun stage 0")
    text, owner = read_table(folder / "text"), read_table(folder / "caption2clip")
    labels = read_table(folder / "utt2label")
    sources = {key: key for key in paths}
    if (folder / "clip2source").exists():
        sources = read_table(folder / "clip2source")
    _same_keys(folder, "text", text, "caption2clip", owner, "no caption")
    _same_keys(folder, "caption2clip", owner.values(), "wav.scp", paths, "no caption")
    _same_keys(folder, "utt2label", labels, "wav.scp", paths, "no label")
    events = read_table(folder / "utt2event") if (folder / "utt2event").exists() else {}
    _same_keys(folder, "clip2source", sources, "wav.scp", paths, "no source")
    if events:
        _same_keys(folder, "utt2event", events, "wav.scp", paths, "no event")
    captions: dict[str, list[str]] = {key: [] for key in paths}
    for caption_id, clip in owner.items():
        captions[clip].append(text[caption_id])
    kinds = _lists(folder / "utt2label", labels)
    heard = _lists(folder / "utt2event", events) if events else {key: names[-1:] for key, names in kinds.items()}
    return [Clip(k, paths[k], tuple(captions[k]), kinds[k], sources[k], heard[k]) for k in paths]


def _lists(path: Path, table: dict[str, str]) -> dict[str, tuple[str, ...]]:
    """Values `name,name` taken apart; DataError for an empty name or one with white space."""
    lists = {key: tuple(value.split(",")) for key, value in table.items()}
    for key, names in lists.items():
        if not all(name and name.split() == [name] for name in names):
            raise DataError(f"{path}: `{key}` has `{table[key]}`; write label,label")
    return lists


def _texts(folder: Path, clips: list[Clip]) -> dict[str, str]:
    """File name -> content of a split; DataError for a split that cannot be written."""
    if not clips:
        raise DataError(f"{folder}: no clips for this split; give the corpus more clips or change its conf/data.yaml")
    names = ("wav.scp", "text", "caption2clip", "utt2label", "clip2source")
    tables: dict[str, dict[str, str]] = {name: {} for name in names}
    for clip in clips:
        if clip.id in tables["wav.scp"]:
            raise DataError(f"{folder}: clip id `{clip.id}` is used twice; make ids unique")
        if not clip.captions or not clip.labels:
            raise DataError(f"{folder}: clip `{clip.id}` ({clip.path}) has no caption or no label; add one")
        tables["wav.scp"][clip.id] = clip.path
        tables["utt2label"][clip.id] = ",".join(clip.labels)
        tables["clip2source"][clip.id] = clip.source
        if clip.events:
            tables.setdefault("utt2event", {})[clip.id] = ",".join(clip.events)
        for number, caption in enumerate(clip.captions):
            tables["text"][f"{clip.id}-c{number}"] = caption
            tables["caption2clip"][f"{clip.id}-c{number}"] = clip.id
    return {name: _table_text(folder / name, table) for name, table in tables.items()}


def write_datadir(path: Path, clips: list[Clip]) -> None:
    """Write a split directory: all files are complete before the first one is renamed into place."""
    folder = Path(path)
    if not any(clip.events for clip in clips):
        (folder / "utt2event").unlink(missing_ok=True)
    with ExitStack() as stack:
        for name, text in _texts(folder, clips).items():
            stack.enter_context(atomic_path(folder / name)).write_text(text, encoding="utf-8")


def scp_path(path: Path, root: Path | None = None) -> str:
    """A path as wav.scp has it: relative to `root` (the working directory) when inside it, else absolute."""
    path, root = Path(path).resolve(), (root or Path.cwd()).resolve()
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def check_splits(splits: dict[str, list[Clip]]) -> None:
    """DataError when two splits share a clip or an original recording; lists some of the shared ids."""
    seen: dict[str, dict[str, str]] = {"clip": {}, "original recording": {}}
    shared: dict[tuple[str, str, str], set[str]] = {}
    for split, clips in splits.items():
        for clip in clips:
            for what, key in (("clip", clip.id), ("original recording", clip.source)):
                first = seen[what].setdefault(key, split)
                if first != split:
                    shared.setdefault((what, first, split), set()).add(key)
    for (what, first, split), keys in shared.items():
        raise DataError(
            f"{first} and {split} share {len(keys)} {what}(s): {_listed(keys)}; "
            f"keep each in one split only (rerun stage 0)"
        )


def write_splits(folder: Path, splits: dict[str, list[Clip]]) -> None:
    """Write all split directories of a corpus; nothing is written when one cannot be or two share a recording."""
    for split, clips in splits.items():
        _texts(Path(folder) / split, clips)
    check_splits(splits)
    for split, clips in splits.items():
        write_datadir(Path(folder) / split, clips)
