"""Binding on sets of scenes: retrieval, direction, assignment, with controls and curves."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spclap.errors import DataError
from spclap.evaluate.controls import CONTROLS, controlled
from spclap.evaluate.embedder import Embedder
from spclap.evaluate.figures import Outcomes
from spclap.evaluate.frozen import SceneSet
from spclap.evaluate.protocols import Embeddings, assignment, direction, placed, retrieval
from spclap.scene.caption import true_caption
from spclap.scene.scene import Scene
from spclap.space.directions import DIRECTIONS
from spclap.space.wording import Wording
from spclap.space.words import HELD_OUT, HOURS_AHEAD, TO_ME

LEVELS = (-12.0, -6.0, -2.0, 2.0, 6.0, 12.0)  # dB, edges of the curve over levels
ASKED = {
    "retrieval": "queries are all scenes of one size; texts, their captions, each once; right is every caption that is "
    "true of a recording: what is at each direction has that caption among its own, or that label",
    "direction": "known contents; 5 captions for one source, 25 ordered direction pairs for two",
    "assignment": "captions of all permutations of the scene; right when the true one alone is best",
    "reworded": "what begins with it: asked in words, orders of clauses and hours of the clock that training never has",
    "interval": "95%, over recordings: scenes that share one hang together",
}
PROTOCOL = {
    **ASKED,
    "placed": "the caption against itself with one sound moved to a direction where nothing sounds, drawn; chance 50",
    "words": "assignment of two sources, the same scenes told in other ways; `to my left`, a bit to the left, right in "
    "front of me; nine, eleven, twelve, one and three o'clock; the second sound first; a further caption of each clip "
    "that has one",
}


@dataclass(frozen=True)
class Scored:
    """Outcomes of a model, as it is and under controls; words, way of telling scenes of two sources -> assignment, NaN
    for a scene that cannot be told so; confusion, of true (rows) and chosen directions of one source; ranked, scene ->
    [caption, cosine], the best first, of some."""

    outcomes: Outcomes
    controls: dict[str, Outcomes]
    words: Outcomes
    confusion: list[list[int]] | None = None
    ranked: dict[str, list[list]] | None = None


class Given:
    """Vectors of a model in any language: audio (n, D), in the order of scenes.jsonl, and text (m, D), in that of
    captions.txt."""

    def __init__(self, audio: dict[str, np.ndarray], text: dict[str, np.ndarray]):
        self.audio, self.known = audio, text

    def heard(self, sounds: SceneSet) -> np.ndarray:
        """Of the scenes of a set."""
        return np.stack([self.audio[scene.id] for scene in sounds.scenes])

    def embed_text(self, captions: list[str]) -> np.ndarray:
        try:
            return np.stack([self.known[caption] for caption in captions])
        except KeyError as error:
            raise DataError(f"captions.txt of the set has no {error}, which is asked now; make the set anew") from None


def chance(metric: str) -> float | None:
    """Percent; None for retrieval, where it depends on the captions."""
    name, _, size = metric.rpartition("_")
    by_kind = {"direction": len(DIRECTIONS) ** int(size[0]), "assignment": math.factorial(int(size[0])), "placed": 2}
    return 100 / of if (of := by_kind.get(name.removeprefix("reworded_"))) else None


def binding(found: Embeddings) -> tuple[Outcomes, np.ndarray | None]:
    """Direction of up to two sources and assignment of several; of direction, how often which one (columns) was taken
    for the true one (rows)."""
    size, out, confusion = found.scenes[0].size, {}, None
    if size <= 2:
        out[f"direction_{size}src"], confusion = direction(found)
    if size >= 2:
        out[f"assignment_{size}src"] = assignment(found)
    return out, confusion


def hardest(found: Embeddings) -> Outcomes:
    """Direction of one source, assignment of several."""
    size = found.scenes[0].size
    return {"direction_1src": direction(found)[0]} if size == 1 else {f"assignment_{size}src": assignment(found)}


def plain(found: Embeddings) -> tuple[Outcomes, np.ndarray | None]:
    """All of ASKED of scenes of one size, and the confusion of directions."""
    size, ranks = found.scenes[0].size, retrieval(found)
    out = {f"rank_{way}_{size}src": own for way, own in zip(("a2t", "t2a"), ranks, strict=True)}
    found_in, confusion = binding(found)
    reworded = hardest(found.said(HELD_OUT)) if size <= 2 else {}
    return {**out, **found_in, **{f"reworded_{name}": own for name, own in reworded.items()}}, confusion


def outcomes(embedder: Embedder | Given, sets: Sequence[SceneSet]) -> Scored:
    """Outcomes of a model, as it is and under each of CONTROLS that its vectors allow."""
    asked, under, words, ranked, text, confusions = {}, {name: {} for name in CONTROLS}, {}, {}, {}, {}
    for sounds in sets:
        found, size = Embeddings(embedder, text).hear(sounds), sounds.scenes[0].size
        own, confusions[size] = plain(found)
        asked |= {**own, f"placed_{size}src": placed(found)}
        if size == 2:
            words = in_words(found)
        for name, control in CONTROLS.items():
            if control.waves is None or not isinstance(embedder, Given):
                under[name] |= binding(controlled(found, sounds, control))[0]
        ranked |= best_captions(found)
    confusion = confusions[1].tolist() if 1 in confusions else None
    return Scored(asked, {name: own for name, own in under.items() if own}, words, confusion, ranked)


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

    def heard(self, sounds: SceneSet) -> np.ndarray:
        return np.ones((len(sounds.scenes), 1))

    def embed_text(self, captions: list[str]) -> np.ndarray:
        self.captions |= dict.fromkeys(captions)
        return np.ones((len(captions), 1))


def asked(sets: Sequence[SceneSet]) -> list[str]:
    """Every text that `outcomes` asks of vectors that are given."""
    listing = Listing()
    outcomes(listing, sets)
    return list(listing.captions)


def said_in(wording: Wording) -> Callable[[Scene], Scene]:
    return lambda scene: replace(scene, wording=wording)


def with_other_captions(scene: Scene) -> Scene | None:
    """Each sound by a further caption of its clip, if that has one; None where nothing changes or both say the same."""
    sources = tuple(replace(source, caption=source.every_caption[:2][-1]) for source in scene.sources)
    captions = {source.caption for source in sources}
    return None if sources == scene.sources or len(captions) < scene.size else replace(scene, sources=sources)


WORDS: dict[str, Callable[[Scene], Scene | None]] = {
    "as in training": lambda scene: scene,
    "to my left": said_in(TO_ME),
    "at nine o'clock": said_in(HOURS_AHEAD),
    "the second sound first": said_in(Wording(order=(1, 0))),
    "other captions of the clips": with_other_captions,
}


def in_words(found: Embeddings) -> Outcomes:
    """Key of WORDS -> assignment of scenes of two sources, NaN where a scene cannot be told so."""
    out = {}
    for name, tell in WORDS.items():
        told = [tell(scene) for scene in found.scenes]
        right = assignment(found.told([new or old for new, old in zip(told, found.scenes, strict=True)]))
        out[name] = np.where([new is not None for new in told], right, np.nan)
    return {name: right for name, right in out.items() if not np.isnan(right).all()}


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
