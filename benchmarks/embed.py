#!/usr/bin/env python3
"""Our audio embedding at full size against transformers' CLAP audio tower on the same clips, in turn.

Weights are random, clips real: python benchmarks/embed.py --dump dump/esc50 [--device cuda]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from full_size import paper_model
from transformers import ClapFeatureExtractor

from spclap.data.pack import ClipPack
from spclap.model.htsat import fit_windows

EXTRACTOR = ClapFeatureExtractor(frequency_min=50, frequency_max=14000, truncation="rand_trunc", padding="repeatpad")


def measured(run: Callable[[], torch.Tensor], device: str) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    run()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dump", type=Path, required=True, help="dump/<corpus>")
    parser.add_argument("--clips", type=int, default=4, help="recordings of 10 s at once")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--size", choices=["tiny", "base"], default="base")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    pack = ClipPack(args.dump / "clips" / "test")
    mono = np.stack([np.resize(pack.read(pack.ids[i % len(pack.ids)]), 160000) for i in range(args.clips)])
    stereo = torch.from_numpy(np.stack([mono, np.roll(mono, 5, axis=1)], axis=1)).to(args.device)
    with tempfile.TemporaryDirectory() as folder:
        clap = paper_model(Path(folder), ["a dog barks on the left side"] * 10, args.size).to(args.device).eval()
    content = clap.content_encoder
    features = content.front(fit_windows(content.resample(stereo.mean(dim=1)))[:, 0])
    at_48k = content.resample(stereo.mean(dim=1)).cpu().numpy()

    def with_extractor() -> torch.Tensor:
        found = EXTRACTOR(list(at_48k), sampling_rate=48000, return_tensors="pt")["input_features"].float()
        return content.tower(input_features=found.to(args.device)).pooler_output

    runs = {
        "transformers' tower, features given": lambda: content.tower(input_features=features).pooler_output,
        "transformers' extractor and tower": with_extractor,
        "ours, from 16 kHz stereo": lambda: clap.embed_audio(stereo),
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    for round_ in range(args.rounds + 1):
        for name, run in runs.items():
            seconds = measured(run, args.device)
            if round_:  # the first warms up
                times[name].append(seconds)
    base = times["transformers' tower, features given"]
    print(f"HTSAT-{args.size}, {args.clips} clips of 10 s at once, {args.device}, {torch.get_num_threads()} threads,")
    print(f"median of {args.rounds} rounds\n\n| | ms a clip | times the tower |\n|---|---|---|")
    for name, values in times.items():
        ratios = [value / other for value, other in zip(values, base, strict=True)]
        print(f"| {name} | {1000 * statistics.median(values) / args.clips:.0f} | {statistics.median(ratios):.2f} |")


if __name__ == "__main__":
    main()
