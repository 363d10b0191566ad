"""Apply one function to many indices in several processes, and return the results in order."""

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
"""Largest number of pending results per process, which keeps memory independent of the number of indices."""

_task: Callable[[int], Any] | None = None


def processors() -> int:
    """The number of processors available to this process."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def in_order(task: Callable[[int], T], indices: Sequence[int], jobs: int) -> Generator[T, None, None]:
    """Yield ``task(index)`` for each of `indices`, in order, computed by `jobs` processes.

    The processes are forked, like those of `data.loader`: `task` may use any object, and classes from a user's file are
    available. Everything runs in this process if there is only one job, if fork does not exist (Windows), or if it is
    not safe (macOS).

    Raises:
        UserError: if a process was killed from outside.
        Exception: as raised by `task`; the remaining indices are not processed.
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
        raise UserError("a process that read the data was killed; is there enough memory?") from error
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _begin(task: Callable[[int], Any], parent: int) -> None:
    """Initialize a new process: store the task, leave Ctrl-C to the parent, and exit when the parent ends."""
    global _task
    _task = task
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: int) -> None:
    # Without this, children of a killed parent would wait for work forever, since each keeps its own pipe open.
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _run(index: int) -> Any:
    assert _task is not None
    return _task(index)
