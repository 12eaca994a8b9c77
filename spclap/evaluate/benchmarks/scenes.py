"""Binding on sets of scenes: retrieval, direction, assignment, with controls and curves."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from spclap.evaluate.controls import CONTROLS, controlled
from spclap.evaluate.embedder import Embedder
from spclap.evaluate.frozen import SceneSet
from spclap.evaluate.protocols import Embeddings, assignment, direction, retrieval
from spclap.scene.caption import true_caption
from spclap.scene.scene import Scene
from spclap.space.directions import DIRECTIONS
from spclap.space.words import HELD_OUT

Outcomes = dict[str, np.ndarray]  # metric, as `assignment_2src`, -> bool of each scene, or rank for `rank_*`
LEVELS = (-12.0, -6.0, -2.0, 2.0, 6.0, 12.0)  # dB, edges of the curve over levels
PROTOCOL = {
    "rank_a2t": "captions of all scenes of that size, each once; right is every caption that is true of a recording: "
    "what is at each direction has that caption among its own, or that label",
    "rank_t2a": "all recordings of that size; right is every one that the caption is true of",
    "direction": "contents known; 5 captions for one source, 25 ordered pairs of directions for two",
    "assignment": "captions of all permutations of what is where; right when the true one alone is best",
    "reworded": "asked in words, orders of clauses and hours of the clock that our training never has",
}


@dataclass(frozen=True)
class Scored:
    """Outcomes of a model, as it is and under controls; confusion, of true (rows) and chosen directions of one source;
    ranked, scene -> [caption, cosine], the best first, of some."""

    outcomes: Outcomes
    controls: dict[str, Outcomes]
    confusion: list[list[int]] | None = None
    ranked: dict[str, list[list]] | None = None


class Given:
    """Vectors of a model in any language: audio (n, D), in the order of scenes.jsonl, and text (m, D), in that of
    captions.txt."""

    def __init__(self, audio: dict[str, np.ndarray], text: dict[str, np.ndarray]):
        self.audio, self.known = audio, text

    def of(self, sounds: SceneSet) -> np.ndarray:
        """Of the scenes of a set."""
        return np.stack([self.audio[scene.id] for scene in sounds.scenes])

    def embed_text(self, captions: list[str]) -> np.ndarray:
        return np.stack([self.known[caption] for caption in captions])


def chance(metric: str) -> float:
    """Percent, of direction and assignment."""
    size = int(metric.split("_")[-1][0])
    return 100 / math.factorial(size) if "assignment" in metric else 100 / len(DIRECTIONS) ** size


def binding(found: Embeddings) -> Outcomes:
    """Direction of up to two sources and assignment of several."""
    size, out = found.scenes[0].size, {}
    if size <= 2:
        out[f"direction_{size}src"] = direction(found)[0]
    if size >= 2:
        out[f"assignment_{size}src"] = assignment(found)
    return out


def outcomes(embedder: Embedder | Given, sets: Sequence[SceneSet]) -> Scored:
    """Outcomes of a model, as it is and under each of CONTROLS that its vectors allow."""
    plain, under, text, ranked, confusion = {}, {name: {} for name in CONTROLS}, {}, {}, None
    for sounds in sets:
        found, size = Embeddings(embedder, text), sounds.scenes[0].size
        if given := isinstance(embedder, Given):
            found.add(sounds.scenes, embedder.of(sounds))
        else:
            found.hear(sounds)
        ranks = retrieval(found)
        plain |= {f"rank_{way}_{size}src": own for way, own in zip(("a2t", "t2a"), ranks, strict=True)}
        plain |= binding(found)
        if size == 1:
            confusion = direction(found)[1].tolist()
        if size <= 2:
            plain |= {f"reworded_{name}": own for name, own in binding(found.said(HELD_OUT)).items()}
        for name, control in CONTROLS.items():
            if control.waves is None or not given:
                under[name] |= binding(controlled(found, sounds, control))
        ranked |= best_captions(found)
    return Scored(plain, {name: own for name, own in under.items() if own}, confusion, ranked)


def best_captions(found: Embeddings, examples: int = 6, shown: int = 5) -> dict[str, list[list]]:
    """Scene -> [caption, cosine] of the best captions of all scenes, for the first scenes."""
    captions = list(dict.fromkeys(map(true_caption, found.scenes)))
    cosines = found.similarity(captions, slice(examples))
    return {
        scene.id: [[captions[i], round(float(row[i]), 4)] for i in np.argsort(-row)[:shown]]
        for scene, row in zip(found.scenes[:examples], cosines, strict=True)
    }


class Listing(Given):
    """Stands for a model, to find out what is asked: `captions`, every text in the order in which it came."""

    def __init__(self):
        self.captions: dict[str, None] = {}

    def of(self, sounds: SceneSet) -> np.ndarray:
        return np.ones((len(sounds.scenes), 1))

    def embed_text(self, captions: list[str]) -> np.ndarray:
        self.captions |= dict.fromkeys(captions)
        return np.ones((len(captions), 1))


def asked(sets: Sequence[SceneSet]) -> list[str]:
    """Every text that `outcomes` asks of vectors that are given."""
    listing = Listing()
    outcomes(listing, sets)
    return list(listing.captions)


def smallest_angle(scene: Scene) -> str:
    """Steps between the two nearest directions of a scene."""
    places = sorted(DIRECTIONS.index(source.direction) for source in scene.sources)
    return f"{min(np.diff(places))} of 4 steps apart"


def level_ratio(scene: Scene) -> str:
    """The first source's level over the loudest other's, as a range in dB."""
    first, *others = (source.gain_db for source in scene.sources)
    return within(first - max(others), LEVELS, "dB")


def within(value: float, edges: Sequence[float], unit: str) -> str:
    """The range that a value lies in; beyond the last edge, the last one."""
    after = int(np.clip(np.searchsorted(edges, value), 1, len(edges) - 1))
    return f"{edges[after - 1]:g} to {edges[after]:g} {unit}"


def kinds(scene: Scene) -> str:
    labels = [source.labels[-1] for source in scene.sources]
    return "kinds that differ" if len(set(labels)) == len(labels) else "one kind twice"


CURVES: dict[str, Callable[[Scene], str]] = {"angle": smallest_angle, "level": level_ratio, "kinds": kinds}
ROOMS = {"rt60": ((0.0, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8), "s"), "distance": ((0.0, 1.0, 1.25, 1.5, 2.0, 4.0), "m")}


def curves(sets: Sequence[SceneSet]) -> dict[str, dict[str, list[int]]]:
    """Curve -> point -> rows that belong to it, of the set of two sources; {} if there is none. `array`, `rt60` and
    `distance` are curves too."""
    two = next((sounds for sounds in sets if sounds.scenes[0].size == 2), None)
    out: dict[str, dict[str, list[int]]] = {}
    for row, scene in enumerate(two.scenes if two else []):
        points = {name: of(scene) for name, of in CURVES.items()} | {"array": two.arrays[row]}
        points |= {name: within(two.rooms[row][name], *how) for name, how in ROOMS.items() if name in two.rooms[row]}
        for name, point in points.items():
            out.setdefault(name, {}).setdefault(point, []).append(row)
    return out
