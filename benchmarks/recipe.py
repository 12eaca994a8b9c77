#!/usr/bin/env python3
"""Where the time of the recipe goes: stages 1 and 2, hearing, a step of each training, scoring; and before.

After stage 0 of mini, for its downloads: python benchmarks/recipe.py [--against 0d3f825] [--bfloat16 false]
Each part is what run.sh says of itself, in this checkout and beside it in one of an older commit, each with data of its
own; nothing else may run.
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
    places = [word for name in ("data", "dump", "exp") for word in (f"--{name}dir", str(scratch / name))]
    stages = ["--stage", str(stage), "--stop_stage", str(stage)]
    command = ["./run.sh", *stages, *places, "--train_args", few]
    result = subprocess.run(
        command, cwd=root, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
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
    run(root, scratch, args, 0)
    found = {f"stage {stage}": seconds(done(run(root, scratch, args, stage))) for stage in (1, 2)}
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
    parser.add_argument("--against", metavar="COMMIT", help="measured in a checkout of its own")
    parser.add_argument("--steps", type=int, default=30, help="of an epoch; the second of two is measured")
    parser.add_argument("--bfloat16", default="auto")
    args = parser.parse_args()
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
