"""How well a SELD model knows which class is where, on the scenes of the other protocols."""

import numpy as np

from spclap.evaluate.metrics import choose
from spclap.scene.scene import Scene
from spclap.space.directions import center, direction_of


def seld_outcomes(
    scenes: list[Scene], vectors: np.ndarray, classes_of: dict[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
    """Direction (all sources right) and content-space assignment (highest sum of cosines wins).

    Args: vectors (n, C, 2) as (cos, sin) of azimuth per class; classes_of, clip -> its classes, of which the mean
    vector counts. Returns arrays (n,) of 1, 0, or NaN for a scene with a clip without classes: "direction", and
    "assignment" for two sources or more; {} if no scene has classes.
    """
    unit = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    directions, assignments = np.full((2, len(scenes)), np.nan)
    for index, (scene, unit_vectors) in enumerate(zip(scenes, unit, strict=True)):
        classes = [classes_of.get(source.clip, ()) for source in scene.sources]
        if not all(classes):
            continue
        own = np.stack([unit_vectors[list(of_source)].mean(axis=0) for of_source in classes])  # (sources, 2)
        azimuth = np.clip(np.rad2deg(np.arctan2(own[:, 1], own[:, 0])), -90, 90)
        directions[index] = all(direction_of(a) == s.direction for a, s in zip(azimuth, scene.sources, strict=True))
        radians = np.deg2rad([center(source.direction) for source in scene.sources])
        places = np.stack([np.cos(radians), np.sin(radians)], axis=-1)
        scores = np.array([[(own[list(p)] * places).sum() for p in scene.permutations()]])
        assignments[index] = choose(scores, np.zeros(1, dtype=int))[0]
    if np.isnan(directions).all():
        return {}
    return {"direction": directions, **({"assignment": assignments} if scenes[0].size > 1 else {})}
