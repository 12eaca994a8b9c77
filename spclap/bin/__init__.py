"""One program per recipe stage; each is a thin `main()`."""

import logging
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from spclap.errors import DataError

ROOT = Path(__file__).resolve().parents[2]  # the repository, for commands that are kept


def run_main(main: Callable[[], None]) -> None:
    """Run a program: a `DataError` becomes one line on stderr and exit code 1."""
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    try:
        main()
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def portable(word: str) -> str:
    """A word of a command without what only this machine knows: an absolute path, also one behind `--option=`, as in
    the repository, or by its last two names when it is not inside."""
    option, equals, value = word.rpartition("=") if word.startswith("-") else ("", "", word)
    if not os.path.isabs(value):
        return word
    path = Path(value).resolve()
    inside = path.is_relative_to(ROOT)
    return option + equals + (str(path.relative_to(ROOT)) if inside else "/".join(["...", *path.parts[1:][-2:]]))


def command() -> str:
    """How this program was called, so that it can be called again on another machine."""
    program = portable(sys.argv[0])
    if program.endswith(".py"):
        module = program.startswith("spclap/")
        program = f"python -m {program[:-3].replace('/', '.')}" if module else f"python {program}"
    else:
        program = Path(program).name  # a console script
    return " ".join([program, *(shlex.quote(portable(word)) for word in sys.argv[1:])])


def environment() -> dict[str, str]:
    """What a reader needs to repeat a figure."""
    import torch

    describe, state = ["git", "describe", "--always", "--dirty"], ""
    if shutil.which("git"):  # of the repository, wherever the program is called
        state = subprocess.run(describe, capture_output=True, text=True, cwd=ROOT).stdout.strip()
    return {
        "git": state or "unknown",
        "command": command(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "machine": f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads",
    }
