#!/usr/bin/env python3
"""Scenes per second: one batched FFT convolution against a loop over sources of scipy's fftconvolve.

Both make the same mixtures (checked) in one run, in turn: python benchmarks/spatialize.py [--scenes 32]
"""

import argparse
import statistics
import time

import numpy as np
import torch
from scipy.signal import fftconvolve

from spclap.scene.spatialize import spatialize


def with_scipy(dry: np.ndarray, rirs: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """(N, 2, T) by one convolution per source and channel."""
    samples = dry.shape[1]
    out = np.zeros((len(pairs), 2, samples), dtype=np.float32)
    for item, sources in zip(out, pairs, strict=True):
        for clip, place in sources:
            for channel in range(2):
                item[channel] += fftconvolve(dry[clip], rirs[place, channel])[:samples]
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=32, help="two-source scenes a batch, each with its swap")
    parser.add_argument("--seconds", type=float, default=2.56, help="s, length of a scene at 16 kHz")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    rng, count = np.random.default_rng(0), 2 * args.scenes
    dry = rng.standard_normal((count, round(16000 * args.seconds))).astype("f")
    rirs = rng.standard_normal((count, 2, 4096)).astype("f") * np.exp(-np.arange(4096) / 400).astype("f")
    first = np.arange(0, count, 2)
    straight = np.stack([np.stack([first, first], -1), np.stack([first + 1, first + 1], -1)], 1)
    swapped = np.stack([np.stack([first, first + 1], -1), np.stack([first + 1, first], -1)], 1)
    pairs = np.concatenate([straight, swapped])
    ours = [torch.from_numpy(part) for part in (dry, rirs, pairs)]
    np.testing.assert_allclose(spatialize(*ours).numpy(), with_scipy(dry, rirs, pairs), atol=5e-3)
    times: dict[str, list[float]] = {"scipy loop": [], "batched": []}
    for _ in range(args.rounds):
        for name, run in (("scipy loop", lambda: with_scipy(dry, rirs, pairs)), ("batched", lambda: spatialize(*ours))):
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    threads = torch.get_num_threads()
    print(f"{len(pairs)} mixtures of 2 sources, {args.seconds} s, {threads} threads, median of {args.rounds}")
    print("| | scenes/s | min | max |\n|---|---|---|---|")
    for name, values in times.items():
        rates = sorted(len(pairs) / value for value in values)
        print(f"| {name} | {statistics.median(rates):.0f} | {rates[0]:.0f} | {rates[-1]:.0f} |")
    ratios = [slow / fast for slow, fast in zip(*times.values(), strict=True)]
    print(f"\nbatched is {statistics.median(ratios):.1f} times as fast")


if __name__ == "__main__":
    main()
