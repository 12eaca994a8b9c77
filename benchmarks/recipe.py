#!/usr/bin/env python3
"""Where the time of the recipe goes: stage 2, hearing, a step of each training, scoring of a model; and before.

After stages 0 and 1 of mini: python benchmarks/recipe.py [--against 0d3f825] [--bfloat16 false]
Each part is what run.sh says of itself, in this checkout and beside it in one of an older commit; nothing else may run.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SECONDS = {"second": 1, "minute": 60, "hour": 3600}
TRAININGS = {3: ("masks", "single"), 4: ("multi", "scl")}


def run(root: Path, scratch: Path, args: argparse.Namespace, stage: int) -> str:
    """What a stage of the recipe in a checkout prints."""
    few = f"--max_epoch 2 --num_iters_per_epoch {args.steps} --bfloat16 {args.bfloat16}"
    places = ["--datadir", args.data, "--dumpdir", scratch / "dump", "--expdir", scratch / "exp"]
    command = [
        "./run.sh",
        "--corpus",
        args.corpus,
        "--stage",
        stage,
        "--stop_stage",
        stage,
        *places,
        "--train_args",
        few,
    ]
    result = subprocess.run(
        list(map(str, command)), cwd=root, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "SPCLAP_PYTHON": sys.executable},
    )  # fmt: skip
    if result.returncode:
        sys.exit(f"error: stage {stage} in {root}: {result.stdout.strip().splitlines()[-1]}")
    return result.stdout


def seconds(words: str) -> float:
    """`1 minute and 23.67 seconds` as a number."""
    return sum(float(value) * SECONDS[unit] for value, unit in re.findall(r"([\d.]+) (hour|minute|second)", words))


def parts(root: Path, scratch: Path, args: argparse.Namespace) -> dict[str, float]:
    """Part -> seconds."""
    found = {"stage 2": seconds(done(run(root, scratch, args, 2)))}
    for stage, tags in TRAININGS.items():
        log = run(root, scratch, args, stage)
        results = [line for line in log.splitlines() if "2epoch results" in line]
        for tag, line in zip(tags, results, strict=True):
            found[f"a step of {tag}"] = float(re.search(r"train_time=([\d.e+-]+)", line)[1])
        spent = sum(
            seconds(re.search(r"[ ,]time=([^,]*)", line)[1]) for line in log.splitlines() if "epoch results" in line
        )
        found[f"stage {stage} beside its steps"] = seconds(done(log)) - spent
    found["scoring, three models"] = seconds(done(run(root, scratch, args, 5)))
    return found


def done(log: str) -> str:
    return re.findall(r"Stage \d: done in (\d+ s)", log)[-1].replace(" s", " second")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="mini")
    parser.add_argument("--data", type=Path, help="data/<corpus> if not given")
    parser.add_argument("--against", metavar="COMMIT", help="measured in a checkout of its own")
    parser.add_argument("--steps", type=int, default=30, help="of an epoch; the second of two is measured")
    parser.add_argument("--bfloat16", default="auto")
    args = parser.parse_args()
    args.data = (args.data or ROOT / "data" / args.corpus).resolve()
    with tempfile.TemporaryDirectory() as folder:
        scratch, roots = Path(folder), {"now": ROOT}
        if args.against:
            roots[args.against] = scratch / "checkout"
            subprocess.run(
                ["git", "worktree", "add", "-q", "--detach", roots[args.against], args.against], cwd=ROOT, check=True
            )
            (roots[args.against] / "downloads").symlink_to(ROOT / "downloads")
        try:
            times = {name: parts(root, scratch / name, args) for name, root in roots.items()}
        finally:
            if args.against:
                subprocess.run(["git", "worktree", "remove", "--force", roots[args.against]], cwd=ROOT, check=True)
    names = list(times)[::-1]
    print(f"| part, s | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for part in times["now"]:
        print(f"| {part} | {' | '.join(f'{times[name][part]:.3g}' for name in names)} |")


if __name__ == "__main__":
    main()
