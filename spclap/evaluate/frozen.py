"""Frozen sets of scenes: what sounds where, with the audio, for any model in any language.

- scenes.jsonl: a scene a line: id, audio, array, recordings, caption, and all that `Scene.recording` says
- audio/<id>.flac: 16 kHz, 24 bits, all channels; scaled as a whole where it would clip (`scale`)
- captions.txt: every text that `spclap score --scenes` asks for, one a line
- config.yaml: how it was made; SHA256SUMS: every file with its hash, as `sha256sum -c` reads it
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import yaml

from spclap.data.progress import progress
from spclap.errors import DataError
from spclap.evaluate.figures import set_name
from spclap.model.folders import check_sums, inside, new_folder, write_sums
from spclap.scene.bank import RirBank
from spclap.scene.caption import true_caption
from spclap.scene.conf import CLEAN
from spclap.scene.corpus import Corpus
from spclap.scene.scene import Scene, read_scenes
from spclap.scene.spatialize import rendered
from spclap.space.array import SAMPLE_RATE

FORMAT = 1
PEAK = 0.99  # of full scale, at most


@dataclass(frozen=True)
class SceneSet:
    """Scenes of one number of sources with their sound: what a benchmark asks about.

    recordings: what each scene was made of, for intervals; arrays: the words for what hears each; rooms: `rt60`, s, and
    `distance` of the farthest source, m, of each, as far as they are known.
    """

    name: str
    scenes: list[Scene]
    recordings: list[tuple[str, ...]]
    arrays: list[str]
    rooms: list[dict[str, float]]

    def waves(self, rows: slice) -> np.ndarray:
        """(n, channels, T) at SAMPLE_RATE."""
        raise NotImplementedError


@dataclass(frozen=True)
class RenderedSet(SceneSet):
    """Scenes of a corpus in the rooms of a bank, rendered when they are asked for."""

    corpus: Corpus
    bank: RirBank
    split: str
    samples: int

    @classmethod
    def of(cls, name: str, scenes: list[Scene], corpus: Corpus, bank: RirBank, split: str, seconds: float, *more):
        arrays = [str(bank.array(scene.room)) for scene in scenes]
        rooms, samples = [_room(scene, bank) for scene in scenes], round(seconds * SAMPLE_RATE)
        return cls(name, scenes, corpus.recordings(scenes), arrays, rooms, corpus, bank, split, samples, *more)

    def waves(self, rows: slice) -> np.ndarray:
        items = [(scene, [tuple(range(scene.size))]) for scene in self.scenes[rows]]
        return rendered(items, self.corpus.pack(self.split), self.bank, self.samples).numpy()


@dataclass(frozen=True)
class FixedSet(RenderedSet):
    """The fixed test scenes of a corpus of one size, with one setting of sounds."""

    sounds: str


def fixed_sets(corpus: Corpus, settings: Iterable[str] = (CLEAN,)) -> list[FixedSet]:
    """Of these settings of sounds, by `set_name`."""
    bank, seconds = corpus.bank("test"), corpus.simu.scenes.seconds
    which = [(size, sounds) for sounds in settings for size in corpus.fixed_counts("test", sounds)]
    return [
        FixedSet.of(set_name(*own), corpus.fixed("test", *own), corpus, bank, "test", seconds, own[1]) for own in which
    ]


def _room(scene: Scene, bank: RirBank) -> dict[str, float]:
    """What a bank says of the room of a scene."""
    rows = bank.table.loc[[source.rir for source in scene.sources]]
    out = {"rt60": float(rows.rt60.iloc[0])} if "rt60" in rows else {}
    if {"source", "middle"} <= set(rows):
        away = [np.subtract(json.loads(row.source), json.loads(row.middle))[:2] for row in rows.itertuples()]
        out["distance"] = float(np.linalg.norm(away, axis=1).max())
    return out


@dataclass(frozen=True)
class FrozenSet(SceneSet):
    """Scenes of a folder that `write_frozen` wrote."""

    files: list[Path]

    def waves(self, rows: slice) -> np.ndarray:
        return np.stack([soundfile.read(file, dtype="float32", always_2d=True)[0].T for file in self.files[rows]])


def write_frozen(out: Path, sets: Sequence[SceneSet], captions: Iterable[str], about: dict) -> None:
    """Write a folder; DataError if it is there. It is complete or not there."""
    with new_folder(out) as temporary:
        (temporary / "audio").mkdir()
        lines = []
        for own in sets:
            for row in progress(range(len(own.scenes)), desc=own.name, unit="scene"):
                lines.append(_written(temporary, own, row))
        (temporary / "scenes.jsonl").write_text("".join(lines), encoding="utf-8")
        (temporary / "captions.txt").write_text("".join(f"{text}\n" for text in captions), encoding="utf-8")
        content = {"format": FORMAT, "sample_rate": SAMPLE_RATE, **about}
        (temporary / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        write_sums(temporary)


def _written(folder: Path, own: SceneSet, row: int) -> str:
    """Writes the audio of a scene; returns its line."""
    scene, name = own.scenes[row], f"audio/{own.scenes[row].id}.flac"
    wave = own.waves(slice(row, row + 1))[0]
    scale = min(1.0, PEAK / max(float(np.abs(wave).max()), 1e-9))
    soundfile.write(folder / name, (scale * wave).T, SAMPLE_RATE, subtype="PCM_24")
    about = {"audio": name, "array": own.arrays[row], "recordings": own.recordings[row], "scale": scale}
    about |= {"caption": true_caption(scene), **own.rooms[row]}
    return json.dumps({"id": scene.id, **about, **scene.recording}) + "\n"


def read_frozen(folder: Path) -> list[FrozenSet]:
    """The sets of a folder, one for each number of sources; DataError unless every file is as it was written."""
    folder = Path(folder)
    if not (folder / "config.yaml").is_file():
        raise DataError(f"{folder / 'config.yaml'}: not found; `spclap make-scenes` writes such folders")
    check_sums(folder, ["audio"], "set of scenes", "make it anew")
    if (found := yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")).get("format")) != FORMAT:
        raise DataError(f"{folder}: format {found}, this version reads {FORMAT}; make the set anew")
    scenes = read_scenes(folder / "scenes.jsonl")
    lines = [json.loads(line) for line in (folder / "scenes.jsonl").read_text(encoding="utf-8").splitlines()]
    sets = []
    for size in sorted({scene.size for scene in scenes}):
        rows = [row for row, scene in enumerate(scenes) if scene.size == size]
        sets.append(
            FrozenSet(
                set_name(size),
                [scenes[row] for row in rows],
                [tuple(lines[row]["recordings"]) for row in rows],
                [lines[row]["array"] for row in rows],
                [{key: lines[row][key] for key in ("rt60", "distance") if key in lines[row]} for row in rows],
                [inside(folder, lines[row]["audio"]) for row in rows],
            )
        )
    return sets


def listed_captions(folder: Path) -> list[str]:
    """The texts of captions.txt, in order."""
    return (Path(folder) / "captions.txt").read_text(encoding="utf-8").splitlines()
