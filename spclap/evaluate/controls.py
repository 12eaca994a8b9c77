"""Controls: what a model is given in place of a recording, to see what its score is made of."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from spclap.evaluate.frozen import SceneSet
from spclap.evaluate.protocols import Embeddings
from spclap.scene.scene import Scene
from spclap.space.directions import DIRECTIONS

Waves = Callable[[np.ndarray], np.ndarray]  # (n, channels, T) -> the same shape


@dataclass(frozen=True)
class Control:
    """Args: told, what it is, for readers; waves, what becomes of recordings, None: they are heard as they are and
    their vectors exchanged by `vectors`; mirrored, whether captions say the mirror image; blind, whether nothing of
    places is left, so that more than chance is a fault."""

    told: str
    waves: Waves | None = None
    vectors: Callable[[np.ndarray], np.ndarray] | None = None
    mirrored: bool = False
    blind: bool = False


def mono(waves: np.ndarray) -> np.ndarray:
    return np.repeat(waves.mean(axis=1, keepdims=True), waves.shape[1], axis=1)


def left(waves: np.ndarray) -> np.ndarray:
    return np.repeat(waves[:, :1], waves.shape[1], axis=1)


def exchanged(waves: np.ndarray) -> np.ndarray:
    return waves[:, ::-1]


CONTROLS = {
    "mono": Control("the mean of the channels on all of them", mono, blind=True),
    "left": Control("the left channel on all of them", left, blind=True),
    "exchanged": Control("channels exchanged, the true caption is asked for: must be lower", exchanged),
    "exchanged_mirrored": Control("channels exchanged, the mirrored caption is asked for", exchanged, mirrored=True),
    "text_alone": Control("one vector for all recordings", vectors=lambda x: x[:1].repeat(len(x), axis=0), blind=True),
    "other_audio": Control("the recording of the next scene", vectors=lambda x: np.roll(x, 1, axis=0), blind=True),
}


def mirror_image(scene: Scene) -> Scene:
    """What is heard of a scene with its channels exchanged."""
    sources = (
        replace(s, direction=DIRECTIONS[-1 - DIRECTIONS.index(s.direction)], azimuth=-s.azimuth) for s in scene.sources
    )
    return replace(scene, sources=tuple(sources))


def controlled(plain: Embeddings, sounds: SceneSet, control: Control) -> Embeddings:
    """A set under a control; plain, the same set as it is."""
    scenes = [mirror_image(scene) for scene in sounds.scenes] if control.mirrored else sounds.scenes
    found = plain.empty()
    if control.waves is None:
        found.add(scenes, control.vectors(plain.audio))
    else:
        found.hear(sounds, control.waves, scenes)
    return found
