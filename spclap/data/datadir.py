"""Kaldi-style data directories.

A split directory holds `wav.scp` (clip_id path), `text` (caption_id caption), `caption2clip`
(caption_id clip_id), `utt2label` (clip_id label[,label]) and `clip2source` (clip_id recording_id),
each sorted by key (LC_ALL=C) without duplicates. `utt2event` (clip_id event[,event]) may say which sound events a clip
holds, where these are not its kind alone. utils/validate_data_dir.py refuses the same and needs no package.
"""

import re
import unicodedata
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from spclap.data.files import atomic_path, atomic_write_text
from spclap.errors import DataError

SPLITS = ("train", "valid", "test")
SHOWN = 5  # keys listed in an error before "..."
FILLERS = "\u115f\u1160\u2800\u3164\uffa0"  # letters and symbols that show nothing


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


def _listed(keys) -> str:
    """`a, b, c, ...` of the first keys in order."""
    keys = sorted(keys)
    return ", ".join(keys[:SHOWN]) + (f", ... ({len(keys)} in all)" if len(keys) > SHOWN else "")


def visible(text: str) -> bool:
    """Whether there is anything to read: more than white space, characters of no width and marks without a letter."""
    return any(unicodedata.category(char)[0] in "LNPS" and char not in FILLERS for char in text)


def is_name(text: str) -> bool:
    """Whether a text can be a key or a label: one word, all of which can be seen."""
    return visible(text) and text.isprintable() and " " not in text


def _problem(key: str, value: str) -> str:
    """What is wrong with a line of a table, or nothing."""
    if key and not value:
        return f"key `{key}` has no value; write `key value` or remove the line"
    if not is_name(key):
        return f"key {key!r} is empty or has white space or characters that cannot be seen; rename it"
    if not visible(value) or len(value.splitlines()) != 1:
        return f"value of `{key}` is {value!r}; it must be one line of text that can be seen"
    return ""


def read_table(path: Path) -> dict[str, str]:
    """Read lines of a key, spaces or tabs, and a value; a byte order mark is passed over.

    Raises DataError with file and line for a missing file, an empty line, a key without value, a key or value with
    nothing to see, a duplicate key and an unsorted key.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        raise DataError(f"{path}: file not found; stage 0 makes it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    if lines[-1] == "":
        lines.pop()
    table: dict[str, str] = {}
    last = ""
    for number, line in enumerate(lines, 1):
        key, value = (*re.split(r"[ \t]+", line, maxsplit=1), "")[:2]
        value = value.strip()
        if not line.strip():
            raise DataError(f"{path}:{number}: empty line; remove it")
        if problem := _problem(key, value):
            raise DataError(f"{path}:{number}: {problem}")
        if key in table:
            raise DataError(f"{path}:{number}: duplicate key `{key}`; keep one line of it")
        if key < last:
            raise DataError(f"{path}:{number}: key `{key}` comes after `{last}`; sort with LC_ALL=C sort -k1,1")
        table[key] = value
        last = key
    return table


def _table_text(path: Path, table: dict[str, str]) -> str:
    """Sorted lines of a table; DataError for a key that is no name and for a value that is not one line."""
    for key, value in table.items():
        if problem := _problem(key, value.strip()):
            raise DataError(f"{path}: {problem}")
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
    """Values `name,name` taken apart; DataError where one of them is no name."""
    lists = {key: tuple(value.split(",")) for key, value in table.items()}
    for key, names in lists.items():
        if not all(map(is_name, names)):
            raise DataError(f"{path}: `{key}` has {table[key]!r}; write label,label, each one word without white space")
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
        if bad := [name for name in (*clip.labels, *clip.events) if not is_name(name) or "," in name]:
            raise DataError(f"{folder}: clip `{clip.id}` has the label {bad[0]!r}; it must be one word without comma")
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
    """DataError when splits share a clip, a file or an original recording, or train has one kind of clips only."""
    owners: dict[tuple[str, str], str] = {}  # (what, id) -> the first split that has it
    shared: dict[tuple[str, str, str], set[str]] = {}
    for split, clips in splits.items():
        for clip in clips:
            for what, key in (("clip", clip.id), ("audio file", clip.path), ("original recording", clip.source)):
                first = owners.setdefault((what, key), split)
                if first != split:
                    shared.setdefault((what, first, split), set()).add(key)
    for (what, first, split), keys in shared.items():
        raise DataError(
            f"{first} and {split} share {len(keys)} {what}(s): {_listed(keys)}; "
            f"keep each in one split only (rerun stage 0)"
        )
    if len(kinds := {clip.labels[-1] for clip in splits.get("train", ())}) == 1:
        raise DataError(f"train: all clips are of the kind {kinds.pop()}; a scene of two sources needs two kinds")


def write_splits(folder: Path, splits: dict[str, list[Clip]]) -> None:
    """Write all split directories of a corpus; nothing is written when one cannot be or two share a recording."""
    for split, clips in splits.items():
        _texts(Path(folder) / split, clips)
    check_splits(splits)
    for split, clips in splits.items():
        write_datadir(Path(folder) / split, clips)
