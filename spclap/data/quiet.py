"""Stderr without what libraries of other languages say of things that are no news."""

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()  # stderr is one for all threads


@contextmanager
def without(noise: str) -> Iterator[None]:
    """What is written to the process's stderr inside is shown at the end, but lines that start as the pattern does."""
    with _lock, tempfile.TemporaryFile() as held:
        stderr = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            held.seek(0)
            kept = [line for line in held if not re.match(noise.encode(), line)]
            os.write(2, b"".join(kept))
