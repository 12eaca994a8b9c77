"""Processes that work for a stage and never outlive it."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


def end_with_parent() -> None:
    """In a process that another one started: end when that one does, however it ends."""

    def watch() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    if multiprocessing.parent_process() is not None:
        threading.Thread(target=watch, daemon=True).start()


def _begin() -> None:
    threadpool_limits(1)  # processes are what shares the cores
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of Ctrl-C the parent hears and stops the workers
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    end_with_parent()


@contextmanager
def workers(count: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of processes; on an error or a signal what they have not begun is dropped."""
    pool = ProcessPoolExecutor(max_workers=count, initializer=_begin)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
