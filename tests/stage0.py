"""Stage 0 of a corpus, egs/<name>/local/data.py, run as the recipe does."""

import subprocess
import sys
from pathlib import Path

from programs import ROOT

from spclap.data.datadir import SPLITS, load_datadir

MODULES = ("data", "packages", "archives", "sounds")  # of egs/*/local


def run_stage_zero(name: str, *options) -> subprocess.CompletedProcess:
    """From the repository."""
    command = [sys.executable, f"egs/{name}/local/data.py", *map(str, options)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def load_splits(folder: Path) -> dict:
    return {split: load_datadir(folder / split) for split in SPLITS}
