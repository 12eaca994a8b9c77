"""Stage 0 of egs/audiocaps: AudioCaps' CSVs and a folder of audio as data/audiocaps/{train,valid,test}."""

import argparse
import logging
import os
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from audioset import events_of_clips
from segments import HOW, Entry, read_segments

from spclap.bin import run_main
from spclap.data.audio import read_clip
from spclap.data.config import load_config
from spclap.data.datadir import SPLITS, Clip, scp_path, write_splits
from spclap.data.decode import require_decoder
from spclap.data.files import atomic_write_text
from spclap.data.progress import progress
from spclap.data.stream import CONTAINERS, SUFFIXES
from spclap.data.workers import workers
from spclap.errors import DataError

RATE = 16000  # Hz, at which files are checked


@dataclass(frozen=True)
class AudioCapsConf:
    """conf/data.yaml."""

    csv: dict[str, str]  # split -> file
    audio: str
    min_found: float
    min_seconds: float
    max_seconds: float

    def __post_init__(self):
        if self.csv.keys() != set(SPLITS):
            raise ValueError(f"csv names {sorted(self.csv)}; it must name a file for each of {', '.join(SPLITS)}")
        if not 0 < self.min_found <= 1:
            raise ValueError(f"min_found is {self.min_found}; it must be above 0 and at most 1")


Row = tuple[str, Entry, Path | None, str]  # split, segment, file, what is wrong with it or nothing


def audio_files(folder: Path) -> dict[str, Path]:
    """Name without suffix -> file, of all audio files at any depth; the first in order where a name is there twice."""
    if not folder.is_dir():
        raise DataError(f"{folder}: not a folder; {HOW}")
    found: dict[str, Path] = {}
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            if path.suffix.lower() in SUFFIXES:
                found.setdefault(path.stem, path)
    return found


def find(entry: Entry, files: dict[str, Path], alone: bool) -> Path | None:
    """File of a segment by the names that downloaders give; without start time only where a video has one segment."""
    names = [f"{y}{entry.youtube_id}_{start}" for y in ("", "Y") for start in (entry.start, f"{entry.start}.0")]
    names += [f"{y}{entry.youtube_id}" for y in ("", "Y")] if alone else []
    names += entry.rows
    return next((files[name] for name in names if name in files), None)


def problem_of(path: Path, conf: AudioCapsConf) -> str:
    """What is wrong with a file, or nothing: it is read whole, since one bad clip stops stage 2."""
    try:
        seconds = len(read_clip(path, RATE, min_seconds=conf.min_seconds)) / RATE
    except DataError as error:
        return " ".join(str(error).split())
    return f"{seconds:.1f} s, more than a segment" if seconds > conf.max_seconds else ""


def state(path: Path | None, conf: AudioCapsConf) -> str:
    """Size and time of a file and the limits it was held against, by which a later run knows that it is the same."""
    limits = f"{conf.min_seconds}-{conf.max_seconds}"
    return f"{path.stat().st_size} {path.stat().st_mtime_ns} {limits}" if path else ""


def locate(
    out: Path, entries: dict[str, list[Entry]], files: dict[str, Path], conf: AudioCapsConf, nj: int
) -> list[Row]:
    """Segments with their files and what is wrong with them; files that <out>/audio.tsv knows are not read again."""
    segments = Counter(video for video, _ in {(e.youtube_id, e.start) for es in entries.values() for e in es})
    found = [(s, e, find(e, files, segments[e.youtube_id] == 1)) for s, split in entries.items() for e in split]
    if any(path and path.suffix.lower() in CONTAINERS for *_, path in found):
        require_decoder()
    known = reported(out)
    new = [path for *_, path in found if path and (str(path), state(path, conf)) not in known]
    logging.info("audio files: %d known, %d to read", sum(path is not None for *_, path in found) - len(new), len(new))
    with workers(nj) as pool:
        problems = pool.map(partial(problem_of, conf=conf), new, chunksize=16)
        shown = progress(problems, total=len(new), desc="audio files", unit="clip")
        known.update(((str(path), state(path, conf)), problem) for path, problem in zip(new, shown, strict=True))
    return [(s, e, path, known[str(path), state(path, conf)] if path else "missing") for s, e, path in found]


def reported(out: Path) -> dict[tuple[str, str], str]:
    """File and its state -> what was wrong with it or nothing, by the report of an earlier run."""
    path = out / "audio.tsv"
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:]] if path.is_file() else []
    return {(file, seen): "" if status == "found" else status for _, _, status, file, seen in rows}


def report(out: Path, rows: list[Row], conf: AudioCapsConf) -> None:
    """Write <out>/audio.tsv, a line per segment, and log counts; DataError when a split has too little audio."""
    lines = ["split\tclip\tstatus\tfile\tsize, time and limits"]
    for split, entry, path, problem in rows:
        lines.append("\t".join([split, entry.id, problem or "found", str(path or ""), state(path, conf)]))
    atomic_write_text(out / "audio.tsv", "\n".join(lines) + "\n")
    for split in SPLITS:
        problems = [problem for name, _, _, problem in rows if name == split]
        missing, good = problems.count("missing"), problems.count("")
        logging.info(
            "%s: %d clips, %d found, %d missing, %d unfit", split, len(problems), good, missing,
            len(problems) - good - missing,
        )  # fmt: skip
        require_enough(split, good, len(problems), conf, f"readable audio, {out / 'audio.tsv'} lists them")


def require_enough(split: str, good: int, count: int, conf: AudioCapsConf, what: str) -> None:
    """DataError for a split of which too little is left."""
    if good < conf.min_found * count:
        raise DataError(f"{split}: {good} of {count} clips have {what}; less than min_found {conf.min_found}; {HOW}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/audiocaps"), help="where the split directories go")
    parser.add_argument("--conf", type=Path, nargs="+", default=[Path("egs/audiocaps/conf/data.yaml")])
    parser.add_argument("--audiocaps_dir", type=Path, required=True, help="folder with the CSVs and the audio")
    parser.add_argument("--audioset_dir", type=Path, help="folder with AudioSet's *_segments.csv and ontology.json")
    parser.add_argument("--nj", type=int, default=2, help="processes that read audio")
    args = parser.parse_args()
    conf = load_config(AudioCapsConf, *args.conf)
    entries = {split: read_segments(args.audiocaps_dir / name) for split, name in conf.csv.items()}
    events = events_of_clips(args.audioset_dir) if args.audioset_dir else {}
    rows = locate(args.out, entries, audio_files(args.audiocaps_dir / conf.audio), conf, args.nj)
    report(args.out, rows, conf)
    splits: dict[str, list[Clip]] = {split: [] for split in SPLITS}
    for split, entry, path, problem in rows:
        heard = events.get(entry.youtube_id, ())
        if not problem and (heard or not events):
            splits[split].append(
                Clip(entry.id, scp_path(path), tuple(entry.captions), (entry.id,), entry.youtube_id, heard)
            )
    if events:
        without = sum(not problem and entry.youtube_id not in events for _, entry, _, problem in rows)
        logging.info("%d clips are left out because AudioSet's segments do not list them", without)
        for split, clips in splits.items():
            require_enough(split, len(clips), len(entries[split]), conf, f"audio and events of {args.audioset_dir}")
    write_splits(args.out, splits)


if __name__ == "__main__":
    run_main(main)
