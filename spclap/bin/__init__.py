"""One program per recipe stage; each is a thin `main()`."""

import logging
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable

from spclap.errors import DataError


def run_main(main: Callable[[], None]) -> None:
    """Run a program: a `DataError` becomes one line on stderr and exit code 1."""
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    try:
        main()
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def environment() -> dict[str, str]:
    """What a reader needs to repeat a figure."""
    import torch

    command, state = ["git", "describe", "--always", "--dirty"], ""
    if shutil.which("git"):
        state = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    return {
        "git": state or "unknown",
        "command": " ".join(sys.argv),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "machine": f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads",
    }
