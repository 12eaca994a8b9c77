#!/usr/bin/env python3
"""Do the vectors of audio and of text know which sound is where? A linear read-out of each, on scenes and their swaps.

For every kind of sound, ridge regression reads (cos, sin) of its azimuth out of the vectors of training scenes. On
test scenes the read-out chooses between a scene and its swap as SELD does: which places do the two kinds' azimuths fit
better? 50% is chance. python benchmarks/probes.py --data data/mini --dump dump/mini exp/mini/seed0/{single,scl}
"""

import argparse
from pathlib import Path

import numpy as np

from spclap.engine.trained import load_training
from spclap.evaluate.embedder import OfClap
from spclap.evaluate.frozen import RenderedSet
from spclap.evaluate.intervals import Clusters, shown
from spclap.evaluate.protocols import Embeddings
from spclap.evaluate.seld import seld_outcomes
from spclap.scene.caption import true_caption
from spclap.scene.corpus import Corpus


def vectors(model, corpus: Corpus, split: str, scenes: list) -> dict[str, np.ndarray]:
    """Audio and text vectors of scenes, each (n, dim)."""
    sounds = RenderedSet.of(split, scenes, corpus, corpus.bank(split), split, corpus.simu.scenes.seconds)
    found = Embeddings(OfClap(model.clap)).hear(sounds)
    return {"audio": found.audio, "text": found.text([true_caption(scene) for scene in scenes])}


def read_out(
    vectors: np.ndarray, scenes: list, class_of: dict[str, int], clips: dict[str, set[str]], ridge: float
) -> np.ndarray:
    """Weights (dim + 1, classes, 2); each class is fitted on the scenes that hold it, 0 for one that none holds.

    Args: vectors (n, dim) of the scenes; clips of each class; ridge, weight of the squared weights.
    """
    inputs = np.pad(vectors, ((0, 0), (0, 1)), constant_values=1.0)
    weights = np.zeros((inputs.shape[1], len(class_of), 2))
    for label, index in class_of.items():
        held = [(n, s.azimuth) for n, scene in enumerate(scenes) for s in scene.sources if s.clip in clips[label]]
        rows, azimuths = np.array([n for n, _ in held], dtype=int), np.array([azimuth for _, azimuth in held])
        targets = np.stack([np.cos(np.deg2rad(azimuths)), np.sin(np.deg2rad(azimuths))], axis=1)
        x = inputs[rows]
        weights[:, index] = np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ targets)
    return weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--dump", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=3000, help="training scenes that the read-out is fitted on")
    parser.add_argument("--ridge", type=float, default=0.1)
    args = parser.parse_args()
    corpus = Corpus(args.data, args.dump)
    class_of = {label: index for index, label in enumerate(corpus.classes)}
    clips = {label: {clip for clip, events in corpus.events.items() if label in events} for label in class_of}
    classes_of = {clip: tuple(class_of[e] for e in events if e in class_of) for clip, events in corpus.events.items()}
    fit, test = corpus.sampler("train").fixed([11], 2, args.scenes, "probe"), corpus.fixed("test", 2)
    print("| model | audio vector | text vector |\n|---|---|---|")
    for folder in args.models:
        model = load_training(folder, corpus)
        known, new = (vectors(model, corpus, *part) for part in (("train", fit), ("test", test)))
        cells = []
        for side in ("audio", "text"):
            weights = read_out(known[side], fit, class_of, clips, args.ridge)
            found = np.einsum("nd,dck->nck", np.pad(new[side], ((0, 0), (0, 1)), constant_values=1.0), weights)
            right = 100.0 * seld_outcomes(test, found, classes_of)["assignment"]
            cells.append(shown(*Clusters(corpus.recordings(test)).mean(right, whole=100.0)))
        print(f"| {folder} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
