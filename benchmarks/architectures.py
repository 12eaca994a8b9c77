#!/usr/bin/env python3
"""Size and encode time of the audio side of every model, as conf/model/ configures it, in Markdown.

Fusions and masks are not trained, models take turns in one run: python benchmarks/architectures.py [--batch 1 32]
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from spclap.model.spatial_clap import SpatialClap
from spclap.recipe.compose import Recipe

RECIPE = Recipe(Path(__file__).resolve().parents[1] / "conf")
KEYS = ("content_encoder", "spatial_encoder", "fusion", "text_encoder", "text_head")


def build(name: str) -> SpatialClap:
    """The model of conf/model/<name>.yaml."""
    config = RECIPE.config(f"model/{name}").values
    parts = {key: config[key] for name in KEYS for key in (name, f"{name}_conf") if key in config}
    return SpatialClap(**parts, dim=config["dim"]).eval()


def parameters(model: SpatialClap) -> int:
    """Of content encoder, spatial encoder and fusion."""
    parts = (model.content_encoder, model.spatial_encoder, model.fusion)
    return sum(parameter.numel() for part in parts for parameter in part.parameters())


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32], help="recordings encoded at once")
    parser.add_argument("--seconds", type=float, default=2.0, help="s, length of a recording at 16 kHz")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    models = {name: build(name) for name in RECIPE.there("model")}
    lines = {}
    for name, model in models.items():
        with FlopCounterMode(display=False) as counter:
            model.embed_audio(torch.randn(1, 2, round(16000 * args.seconds)))
        lines[name] = f"| {name} | {parameters(model) / 1e6:.2f} | {counter.get_total_flops() / 2e6:.0f} |"
    head = "| model | parameters, M | multiply-adds, M |"
    for batch in args.batch:
        stereo = torch.randn(batch, 2, round(16000 * args.seconds))
        times: dict[str, list[float]] = {name: [] for name in models}
        for _ in range(args.rounds):
            for name, model in models.items():
                start = time.perf_counter()
                model.embed_audio(stereo)
                times[name].append(1000 * (time.perf_counter() - start) / batch)
        head += f" ms a recording, {batch} at once | times concat |"
        for name, values in times.items():
            ratios = [value / other for value, other in zip(values, times["concat"], strict=True)]
            low, _, high = statistics.quantiles(values, n=4)
            lines[name] += f" {statistics.median(values):.1f} [{low:.1f}, {high:.1f}] |"
            lines[name] += f" {statistics.median(ratios):.2f} |"
    print(
        f"{args.seconds} s stereo, {torch.get_num_threads()} threads, float32, median and quartiles of {args.rounds}; "
    )
    print("multiply-adds of convolutions and matrix products, without FFT\n")
    print(head + "\n|" + "---|" * (3 + 2 * len(args.batch)))
    print("\n".join(lines.values()))


if __name__ == "__main__":
    main()
