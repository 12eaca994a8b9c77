"""Where encoders run in bfloat16 during training: where that is faster, told by a timing, layers of each kind apart."""

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from spclap.data.stamp import made_once
from spclap.errors import DataError

CHOICES = {"true": ("maps", "words"), "false": (), "maps": ("maps",), "words": ("words",)}
GAIN = 0.8  # of the time in float32, at most, else it is not worth its rounding


def _seconds(run: Callable[[], object], half: bool) -> float:
    times = []
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        for _ in range(6):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def _faster() -> str:
    """Key of CHOICES: kinds of layers that are faster in bfloat16 here, separable convolutions of "maps" and linear
    layers of "words"."""
    maps = torch.randn(32, 256, 24, 8).contiguous(memory_format=torch.channels_last)
    separable = nn.Sequential(nn.Conv2d(256, 256, 3, padding=1, groups=256), nn.ReLU(), nn.Conv2d(256, 512, 1))
    words, linear = torch.randn(1024, 384), nn.Sequential(nn.Linear(384, 1536), nn.GELU(), nn.Linear(1536, 384))
    runs = {"maps": lambda: separable(maps), "words": lambda: linear(words)}
    kinds = tuple(kind for kind, run in runs.items() if _seconds(run, True) < GAIN * _seconds(run, False))
    return next(name for name, chosen in CHOICES.items() if chosen == kinds)


def faster_on_cpu(dump: Path) -> str:
    """The first training chooses, in dump/<corpus>/bfloat16, for all that follow here: they share what was heard."""
    info = Path("/proc/cpuinfo")
    words = info.read_text(encoding="utf-8") if info.is_file() else platform.processor()
    names = sorted({line for line in words.splitlines() if line.startswith(("model name", "flags"))})
    machine = {"cpu": names or words, "threads": torch.get_num_threads(), "torch": torch.__version__}
    made = made_once(Path(dump, "bfloat16"), lambda: {"choice.txt": _faster().encode()}, **machine)
    return made["choice.txt"].read_text(encoding="utf-8")


def kinds_in_bfloat16(args: argparse.Namespace) -> tuple[str, ...]:
    """What --bfloat16 means on this machine; `auto` is replaced in `args`, so that a resumed training keeps it."""
    wanted = str(args.bfloat16).lower()  # YAML makes true a bool
    if wanted == "auto":
        if args.ngpu:
            wanted = "true" if torch.cuda.is_bf16_supported(including_emulation=False) else "false"
        else:
            wanted = faster_on_cpu(args.dump)
        args.bfloat16 = wanted
    if wanted not in CHOICES:
        raise DataError(f"bfloat16 is {args.bfloat16!r}; it must be auto or one of {', '.join(CHOICES)}")
    return CHOICES[wanted]
