"""How often 95% intervals hold the truth, by simulation: coverage.py [data/<corpus>]

A model's answer to a scene is right when effects of its recordings and chance together pass a threshold, so the truth
over all recordings that could be is known. Designs are the fixed test scenes of a corpus, or ones like mini's.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.stats import norm

from spclap.evaluate.intervals import Clusters

CASES = [  # spread of the recordings' effects, of chance, and the threshold below both
    (0.0, 1.0, 0.0), (0.3, 1.0, 1.0), (0.5, 1.0, 1.5), (1.0, 1.0, 0.5), (1.0, 1.0, 1.5), (2.0, 0.5, 1.5)
]  # fmt: skip


def design(size: int, scenes: int, clips: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
    """Recordings of scenes, drawn unevenly."""
    weights = rng.uniform(0.5, 2, clips)
    return [tuple(rng.choice([f"c{i}" for i in range(clips)], size, replace=False, p=weights / weights.sum()))
            for _ in range(scenes)]  # fmt: skip


def answers(
    recordings: list[tuple[str, ...]], case: tuple[float, float, float], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Percent right of each scene by two models that have half of the effects in common, and the truth of both."""
    spread, chance, threshold = case
    names = sorted({name for own in recordings for name in own})
    member = np.array([[name in own for name in names] for own in recordings]) / np.sqrt(len(recordings[0]))
    common, *own = rng.standard_normal((3, len(names))) * spread / np.sqrt(2)
    limits = threshold, threshold - 0.3
    found = [100.0 * (m + member @ (common + e) + chance * rng.standard_normal(len(member)) > 0)
             for m, e in zip(limits, own, strict=True)]  # fmt: skip
    return (*found, *(100 * norm.cdf(m / np.hypot(spread, chance)) for m in limits))


def covered(recordings: list[tuple[str, ...]], case: tuple, repeats: int, seed: int) -> dict[str, float]:
    """Share of repeats in which the interval holds the truth: of a model, of a difference, and over scenes alone."""
    rng, together = np.random.default_rng(seed), Clusters(recordings)
    apart = Clusters([(str(index),) for index in range(len(recordings))])
    held = {"model": 0, "difference": 0, "model, over scenes": 0}
    for _ in range(repeats):
        first, second, truth, other = answers(recordings, case, rng)
        for name, (_, low, high), true in (
            ("model", together.mean(first, 100), truth),
            ("difference", together.difference(first, second), truth - other),
            ("model, over scenes", apart.mean(first, 100), truth),
        ):
            held[name] += low <= true <= high
    return {name: count / repeats for name, count in held.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", help="data/<corpus> after stage 1")
    parser.add_argument("--repeats", type=int, default=4000)
    args = parser.parse_args()
    if args.data:
        from spclap.scene.corpus import Corpus

        corpus = Corpus(args.data, args.data)
        designs = {size: corpus.recordings(corpus.fixed("test", size)) for size in corpus.fixed_counts("test")}
    else:
        rng = np.random.default_rng(0)
        designs = {size: design(size, scenes, 54, rng) for size, scenes in ((1, 400), (2, 1000), (3, 400))}
    print("| sources | scenes | recordings | effects | chance | truth | model | difference | model, over scenes |")
    print("|---|---|---|---|---|---|---|---|---|")
    for size, recordings in designs.items():
        for case in CASES:
            found = covered(recordings, case, args.repeats, seed=size)
            truth = 100 * norm.cdf(case[2] / np.hypot(*case[:2]))
            cells = [size, len(recordings), len({r for own in recordings for r in own}), *case[:2], f"{truth:.0f}"]
            print("| " + " | ".join(map(str, [*cells, *(f"{100 * share:.1f}" for share in found.values())])) + " |")


if __name__ == "__main__":
    main()
