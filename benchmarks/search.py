#!/usr/bin/env python3
"""How long a search takes: python benchmarks/search.py --windows 1000000 --dim 510

An index of random vectors, 1800 windows a recording (an hour in windows of 2 s). Prints ms of a query, wall and
processor time of all threads: the first one, which maps the files, and the best and the median of the next; and how
many of its hits are those of brute force in float64.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from spclap.data.progress import progress
from spclap.listening import Heard
from spclap.search import Index
from spclap.search.listing import File, Listing
from spclap.search.shards import MOST, Shards, Windows, windows_of, write_shard

PER_FILE = 1800


def made(out: Path, windows: int, dim: int) -> None:
    rng, files = np.random.default_rng(0), {}
    held: list[Windows] = []
    for number in progress(range(-(-windows // PER_FILE)), desc="vectors"):
        vectors = rng.standard_normal((min(PER_FILE, windows - number * PER_FILE), dim), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        content = number.to_bytes(32, "big")
        held.append(windows_of(content, [Heard(2.0 * i, 2.0 * i + 2, row, 1.0, True) for i, row in enumerate(vectors)]))
        files[f"{number:06d}.wav"] = File(content.hex(), 0, 0)
        if sum(map(len, held)) >= MOST:
            write_shard(out, held)
            held = []
    write_shard(out, held)
    Listing(str(out), "", "", "pair:0.17", 2.0, dim, files).write(out)


def brute_force(shards: Shards, query: np.ndarray, top: int) -> set[tuple[str, float]]:
    scores = np.concatenate([part.vectors.double().numpy() @ query for part in shards.parts])
    rows = np.argsort(-scores, kind="stable")[:top]
    return {(f"{row // PER_FILE:06d}.wav", 2.0 * (row % PER_FILE)) for row in rows.tolist()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--windows", type=int, default=10**6)
    parser.add_argument("--dim", type=int, default=510)
    parser.add_argument("--queries", type=int, default=50)
    args = parser.parse_args()
    rng = np.random.default_rng(1)
    queries = rng.standard_normal((args.queries, args.dim))
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    with tempfile.TemporaryDirectory() as folder:
        made(Path(folder), args.windows, args.dim)
        begun = time.perf_counter()
        index = Index.open(folder)
        print(f"opened in {1e3 * (time.perf_counter() - begun):.0f} ms, {torch.get_num_threads()} threads")
        for every in (False, True):
            walls, works = [], []
            for query in queries:
                wall, work = time.perf_counter(), time.process_time()
                index.search(query, 10, every)
                walls.append(1e3 * (time.perf_counter() - wall))
                works.append(1e3 * (time.process_time() - work))
            what = "windows" if every else "recordings"
            for name, times in (("wall", walls), ("processor", works)):
                best, middle = min(times[1:]), float(np.median(times[1:]))
                print(f"10 best {what}, {name} ms: first {times[0]:.1f}, best {best:.1f}, median {middle:.1f}")
        for query in queries[:3]:
            (hits,) = index.search(query, 10, True)
            found = {(Path(hit.path).name, hit.start) for hit in hits}
            print(f"of brute force: {len(found & brute_force(Shards(Path(folder), args.dim), query, 10))} of 10")


if __name__ == "__main__":
    main()
