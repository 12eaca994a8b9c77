"""One program per recipe stage; each is a thin `main()`."""

import logging
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
