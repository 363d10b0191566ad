"""One function for many indices, in several processes, with the results in order."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, TypeVar

from pggan_framework.errors import UserError

T = TypeVar("T")
AHEAD = 2
"""Results for each process that may wait for their turn: memory does not grow with the number of indices."""

_task: Callable[[int], Any] | None = None


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def in_order(task: Callable[[int], T], indices: Sequence[int], jobs: int) -> Generator[T, None, None]:
    """``task(index)`` for each of `indices`, in their order, computed by `jobs` processes.

    The processes are forked, as those of `data.loader`: `task` may hold anything, and a class from a user's file is
    known there. Where there is no fork (Windows) or it is not safe (macOS), and with one job, it runs here.

    Raises:
        UserError: if a process was ended from outside.
        Exception: what `task` raises; what was still to be done is given up.
    """
    jobs = min(jobs, len(indices))
    if jobs < 2 or sys.platform != "linux":
        yield from map(task, indices)
        return
    executor = ProcessPoolExecutor(
        jobs, multiprocessing.get_context("fork"), initializer=_begin, initargs=(task, os.getpid())
    )
    rest = iter(indices)
    waiting: deque[Future[T]] = deque()
    try:
        for index in islice(rest, AHEAD * jobs):
            waiting.append(executor.submit(_run, index))
        while waiting:
            result = waiting.popleft().result()
            for index in islice(rest, 1):
                waiting.append(executor.submit(_run, index))
            yield result
    except BrokenProcessPool as error:
        raise UserError("a process that read the data was ended from outside; is there enough memory?") from error
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _begin(task: Callable[[int], Any], parent: int) -> None:
    """In a new process: know the task, leave Ctrl-C to the parent, and end when that has gone."""
    global _task
    _task = task
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: int) -> None:
    # A killed parent leaves its children waiting for work: each holds the pipe's other end open itself.
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _run(index: int) -> Any:
    assert _task is not None
    return _task(index)
