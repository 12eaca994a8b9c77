#!/usr/bin/env python3
"""How fast the released model hears, against transformers' CLAP audio tower on the same recordings in one run; and what
other runtimes give for the part that takes most of it, the layers of the content encoder.

python benchmarks/speed.py [--model DIR]      # onnxruntime and openvino where they are installed
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from transformers import ClapAudioConfig, ClapAudioModelWithProjection, ClapFeatureExtractor

from spclap.evaluate.markdown import table
from spclap.inference import SpatialCLAP

BASE = {"depths": [2, 2, 12, 2], "patch_embeds_hidden_size": 128, "hidden_size": 1024}  # LAION's HTSAT-base
DIRECTIONS, LOWEST = 5, 1e-3


def seconds(run: Callable[[], object], rounds: int) -> float:
    """Median of some calls after a first one."""
    run()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def transformers_clap(waves: np.ndarray, rate: int) -> Callable[[], object]:
    """Features and audio tower of CLAP, with random weights, on the mean of the channels."""
    extractor = ClapFeatureExtractor(sampling_rate=rate, truncation="rand_trunc", padding="repeatpad")
    tower, mono = ClapAudioModelWithProjection(ClapAudioConfig(**BASE)).eval(), list(waves.mean(axis=1))
    return lambda: tower(**extractor(mono, sampling_rate=rate, return_tensors="pt"))


def runtimes(layers: torch.nn.Module, maps: torch.Tensor, rounds: int) -> dict[str, float]:
    """Runtime -> s of these layers on maps (N, channels, frames, bands)."""
    found = {"torch": seconds(lambda: layers(maps), rounds)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "layers.onnx"
        torch.onnx.export(layers, (maps,), path, dynamo=False, input_names=["maps"])
        if find_spec("onnxruntime"):
            import onnxruntime

            session = onnxruntime.InferenceSession(path)
            found["onnxruntime"] = seconds(lambda: session.run(None, {"maps": maps.numpy()}), rounds)
        if find_spec("openvino"):
            import openvino

            compiled = openvino.compile_model(path)
            found["openvino"] = seconds(lambda: compiled(maps.numpy()), rounds)
    return found


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="the released one if not given")
    parser.add_argument("--recordings", type=int, default=8, help="of 10 s, at once")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    model = SpatialCLAP.from_pretrained(args.model)
    noise = np.random.default_rng(0).standard_normal((args.recordings, 2, 10 * 48000)).astype("f")
    times = {
        "ours, with resampling and windows of 2 s": seconds(lambda: model.embed_audio(list(noise), 48000), args.rounds),
        "transformers' CLAP (HTSAT-base), features and audio tower": seconds(
            transformers_clap(noise, 48000), args.rounds
        ),
    }
    rows = [(name, f"{1000 * s / args.recordings:.0f}", f"{10 * args.recordings / s:.0f}") for name, s in times.items()]
    print(table(["10 s of 48 kHz stereo", "ms a recording", "times real time"], rows), "\n")
    content = model.clap.content_encoder
    depth, frames = model.clap.fusion.depth, content.spectrum(torch.zeros(1, 32000)).shape[1]
    maps = content.lower(torch.full((DIRECTIONS, frames, 64), LOWEST), depth)
    upper = runtimes(content.layers[depth:], maps.contiguous(), args.rounds)
    print(table(["content encoder, five directions of 2 s", "ms"], [(k, f"{1000 * s:.1f}") for k, s in upper.items()]))
    print(f"\n{torch.get_num_threads()} threads, median of {args.rounds}")


if __name__ == "__main__":
    main()
