"""What is said while work takes its time: a bar on a terminal, a line now and then in a log."""

import logging
import sys
from collections.abc import Iterable

from tqdm import tqdm

PATIENCE = 5.0  # s of work of which nothing is said
EVERY = 30.0  # s between lines of a log


class _Lines(tqdm):
    """Lines such as `rooms train: 120/390, 31%, 40 s left` in place of a bar."""

    def __init__(self, *args, **options):
        super().__init__(*args, mininterval=EVERY, miniters=0, **options)
        self.last_print_t -= EVERY - PATIENCE  # the first line comes sooner

    def __str__(self) -> str:
        count = tqdm.format_sizeof if self.unit_scale else "{:.0f}".format
        elapsed, what = self.format_dict["elapsed"], f"{self.desc}: " if self.desc else ""
        if not self.total or not 0 < self.n <= self.total:
            return f"{what}{count(self.n)} {self.unit}, {_duration(elapsed)} so far"
        share = f"{count(self.n)}/{count(self.total)}, {100 * self.n / self.total:.0f}%"
        return f"{what}{share}, {_duration(elapsed * (self.total - self.n) / self.n)} left"

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """A line, nothing for `msg`: tqdm clears a finished bar with it."""
        if msg is None:
            logging.info("%s", str(self))


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def progress(iterable: Iterable | None = None, **options) -> tqdm:
    """`tqdm(iterable, **options)`, of which nothing stays on a terminal; elsewhere it logs a line every half minute.

    Work of less than 5 s is passed over in silence.
    """
    kind = tqdm if sys.stderr.isatty() else _Lines
    return kind(iterable, delay=PATIENCE, leave=False, dynamic_ncols=True, **options)
