"""Programs of the recipe, called as a shell does but in this process, which has imported what they need."""

import importlib
import io
import logging
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from spclap.bin import run_main

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Ended:
    """What `subprocess.run` gives of a program."""

    returncode: int
    stdout: str
    stderr: str


def run(module: str, *arguments) -> Ended:
    """`python -m module arguments`, from the root of the repository."""
    program, here = importlib.import_module(module), Path.cwd()
    out, err, root = io.StringIO(), io.StringIO(), logging.getLogger()
    log, level, code = logging.StreamHandler(err), root.level, 0
    root.addHandler(log)
    root.setLevel("INFO")
    os.chdir(ROOT)
    try:
        words = [program.__file__, *map(str, arguments)]
        with patch.object(sys, "argv", words), redirect_stdout(out), redirect_stderr(err):
            run_main(program.main)
    except SystemExit as end:
        code = end.code or 0
    finally:
        os.chdir(here)
        root.setLevel(level)
        root.removeHandler(log)
    return Ended(code, out.getvalue(), err.getvalue())
