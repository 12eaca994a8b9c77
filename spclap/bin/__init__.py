"""One program per recipe stage that makes something; each is a thin `main()`."""

import logging
import os
import platform
import resource
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from spclap.errors import DataError

ROOT = Path(__file__).resolve().parents[2]  # the repository, for commands that are kept
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """A signal asked the program to end; on the way out it removes what is unfinished."""


def _stop(number: int, _) -> None:
    for every in STOPPING:
        signal.signal(every, signal.SIG_IGN)  # Ctrl-C may come twice, from the terminal and from run.sh
    raise Stopped(number)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Signals raise `Stopped`, but those that the caller ignores, as nohup does."""
    old = {number: signal.getsignal(number) for number in STOPPING}
    for number in [number for number in STOPPING if old[number] != signal.SIG_IGN]:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


OF_RECIPE = ("espnet", "espnet2", "pyroomacoustics", "zstandard")  # what setup.py has under `recipe` alone


def run_main(main: Callable[[], None]) -> None:
    """Run a program: what a user or the machine causes becomes one line on stderr.

    Exit code 1 for a `DataError` or OSError, 128 and the signal's number for a signal.
    """
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    try:
        with _stoppable():
            main()
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:  # such as a full disk or TMPDIR
        print(f"error: {error}; put that right and rerun", file=sys.stderr)
        sys.exit(1)
    except ModuleNotFoundError as error:
        if (package := (error.name or "").split(".")[0]) not in OF_RECIPE:
            raise
        print(f"error: {package} is missing, which trains and simulates; pip install 'spclap[recipe]'", file=sys.stderr)
        sys.exit(1)
    except Stopped as stopped:
        print(f"error: stopped by {signal.Signals(stopped.args[0]).name}; a rerun goes on", file=sys.stderr)
        sys.exit(128 + stopped.args[0])
    _note_peak()


def _note_peak() -> None:
    """Add to the file that run.sh names how much memory this program or its largest child had at most, in MB."""
    if path := os.environ.get("SPCLAP_PEAKS"):
        used = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{used // 1024}\n")


def require_gpus(count: int) -> None:
    """DataError when there are fewer GPUs."""
    import torch

    if count > (there := torch.cuda.device_count() if torch.cuda.is_available() else 0):
        raise DataError(f"--ngpu is {count}, torch finds {there} here; give --ngpu {there}, or look at nvidia-smi")


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
        "torch": str(torch.__version__),
        "machine": f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads",
    }
