#!/usr/bin/env python3
"""Where the time of one training step of the paper's model goes, on real clips with random weights.

CPU, reduced: python benchmarks/train_step.py --data data/esc50 --dump dump/esc50 --batch 1:2 2:1
One GPU, the paper's batch: ... --device cuda --batch 1:64 2:32 [--checkpointing] [--float32]
How many cores a GPU needs beside it: ... --batch 1:64 2:32 --read_only
"""

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from full_size import paper_model

from spclap.data.datadir import load_datadir
from spclap.engine.batches import FreshScenes
from spclap.model.loss import symmetric_info_nce
from spclap.model.spatial_clap import SpatialClap
from spclap.scene.corpus import Corpus
from spclap.scene.meaning import fits
from spclap.scene.spatialize import spatialize


class Clock:
    """Seconds of named parts; GPUs are waited for."""

    def __init__(self, device: str):
        self.device, self.parts = device, defaultdict(list)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        if self.device != "cpu":
            torch.cuda.synchronize()
        self.parts[name].append(time.perf_counter() - start)


def step(
    clap: SpatialClap, optimizer: torch.optim.Optimizer, scenes: FreshScenes, number: int, clock: Clock, half: bool
) -> tuple[float, int]:
    """One step, part by part; returns its loss and items."""
    device = clap.logit_scale.device
    with clock.part("reading"):
        batch = scenes[number].to(device)
        ids = clap.text_encoder.tokenize(batch.captions).to(device)
    with clock.part("spatializing"), torch.no_grad():
        stereo = spatialize(*batch.sound)
    content = clap.content_encoder
    with clock.part("front end"), torch.no_grad():
        content.front(content.resample(stereo.mean(dim=1)))  # once more below, where it is part of the encoders
    with clock.part("encoders"), torch.autocast(device.type, torch.bfloat16, enabled=half):
        audio, text = clap.embed_audio(stereo), clap.embed_text(ids)
    with clock.part("loss"):
        loss = symmetric_info_nce(audio.float(), text.float(), fits(batch.said, batch.true), clap.scale())
    with clock.part("backward"):
        loss.backward()
    with clock.part("optimiser"):
        optimizer.step()
        optimizer.zero_grad()
    return float(loss.detach()), len(batch)


def reading(scenes: FreshScenes, clips: int) -> str:
    """How fast one process draws scenes and reads their clips."""
    clock = Clock("cpu")
    for number in range(len(scenes)):
        with clock.part("reading"):
            scenes[number]
    seconds = statistics.median(clock.parts["reading"][1:])
    return f"{clips} clips in {seconds:.3f} s, {clips / seconds:.0f} clips/s, one process, median of {len(scenes) - 1}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="data/<corpus>")
    parser.add_argument("--dump", type=Path, required=True, help="dump/<corpus>")
    parser.add_argument("--batch", nargs="+", default=["1:64", "2:32"], metavar="SOURCES:SCENES")
    parser.add_argument("--seconds", type=float, default=10.0, help="s, length of a scene")
    parser.add_argument("--steps", type=int, default=5, help="after one that warms up")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--float32", action="store_true", help="encoders in float32 instead of bfloat16")
    parser.add_argument("--checkpointing", action="store_true", help="gradient checkpointing in both encoders")
    parser.add_argument("--read_only", action="store_true", help="draw scenes and read their clips, no model")
    parser.add_argument("--losses", type=Path, help="write the loss of each step, one a line")
    args = parser.parse_args()
    corpus = Corpus(args.data, args.dump)
    batch = {int(sources): int(count) for sources, count in (item.split(":") for item in args.batch)}
    scenes = FreshScenes(corpus, batch, 2, args.steps + 1, seed=0)
    scenes.seconds = (args.seconds, args.seconds)
    clips = sum(sources * count for sources, count in batch.items())
    if args.read_only:
        print(reading(scenes, clips))
        return
    captions = [caption for clip in load_datadir(args.data / "train") for caption in clip.captions]
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        clap = paper_model(Path(folder), captions, checkpointing=args.checkpointing).to(args.device).train()
    optimizer, clock, losses = torch.optim.Adam(clap.parameters(), lr=1.0e-5), Clock(args.device), []
    for number in range(args.steps + 1):
        loss, items = step(clap, optimizer, scenes, number, clock, not args.float32)
        losses.append(loss)
    medians = {name: statistics.median(values[1:]) for name, values in clock.parts.items()}
    total = sum(medians.values()) - medians["front end"]
    kind = "float32" if args.float32 else "bfloat16"
    where = f"{kind}, {args.device}, {torch.get_num_threads()} threads"
    print(f"{items} items of {args.seconds:g} s, {clips} clips, {where}, median of {args.steps} steps\n")
    print("| part | s | share |\n|---|---|---|")
    for name, seconds in medians.items():
        note = ", in encoders too" if name == "front end" else ""
        print(f"| {name}{note} | {seconds:.3f} | {100 * seconds / total:.1f}% |")
    print(f"| step | {total:.3f} | {clips / total:.1f} clips/s |")
    if args.device != "cpu":
        print(f"\npeak memory {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")
    if args.losses:
        args.losses.write_text("".join(f"{loss:.6f}\n" for loss in losses))


if __name__ == "__main__":
    main()
