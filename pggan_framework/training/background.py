"""Background writing: a separate thread writes files while training continues."""

from __future__ import annotations

from _thread import start_new_thread
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from functools import partial
from queue import SimpleQueue
from threading import Event
from time import monotonic
from typing import Any, NamedTuple, TypeVar

import torch

T = TypeVar("T")
PATIENCE, POLL = 10.0, 1.0
"""Seconds in which a thread has to begin or end, and between two looks at whether it is still there."""


class _Thread:
    """Runs tasks in order. No wait for it is without end: a thread that finds no memory may never begin, or end early.

    `threading.Thread.start`, and so every executor, waits for such a thread for ever.

    Raises:
        RuntimeError: if there is none to be had.
    """

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._begun, self.ended = Event(), Event()
        start_new_thread(self._work, ())
        if not self._begun.wait(PATIENCE):
            self._queue.put(None)
            raise RuntimeError("can't start new thread")

    def submit(self, task: Callable[[], T]) -> Future[T]:
        """Run a task after those before it."""
        future: Future[T] = Future()
        self._queue.put((future, task))
        return future

    def close(self) -> None:
        """End after the tasks that were given."""
        self._queue.put(None)
        self.ended.wait(PATIENCE)

    def _work(self) -> None:
        self._begun.set()
        try:
            while (work := self._queue.get()) is not None:
                _run(*work)
                del work  # its tensors
        finally:
            self.ended.set()


def _run(future: Future[Any], task: Callable[[], Any]) -> None:
    try:
        result = task()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)


class _Task(NamedTuple):
    future: Future[Any]
    thread: _Thread | None
    then: Callable[[Any], None]
    failed: Callable[[Exception], None]


class Background:
    """Runs one task after another in a thread, in the order they were given.

    Never more than one task waits behind the one that runs, so that neither memory nor the files fall behind.

    Args:
        enabled: False to run each task at once, where it is given.
        failed: called in the caller's thread with a task's name and what it has raised.
    """

    def __init__(self, enabled: bool, failed: Callable[[str, Exception], None]) -> None:
        self.enabled = enabled
        self.failed = failed
        self.longest: dict[str, float] = {}
        """Seconds that the longest task of each name took, since whoever reads them last cleared them."""
        self._thread: _Thread | None = None
        self._running: list[_Task] = []

    def submit(
        self,
        task: Callable[[], T],
        then: Callable[[T], None] = lambda result: None,
        name: str = "other",
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        """Run `task` in the thread.

        Args:
            task: must not touch what training changes: copies of tensors, and no global random generator.
            then: called with the result by a later `collect`, in the caller's thread.
            name: what kind of task it is, for `longest` and `failed`.
            failed: called with what the task raises, by a later `collect`, in place of the common one.
        """
        on_error = failed or partial(self.failed, name)
        self._finish(leave=1)
        thread = self._started() if self.enabled else None
        work = partial(self._timed, task, name)
        if thread is None:
            self._finish(leave=0)
            future: Future[T] = Future()
            _run(future, work)
            _take(_Task(future, None, then, on_error))
        else:
            self._running.append(_Task(thread.submit(work), thread, then, on_error))

    def _started(self) -> _Thread | None:
        """The thread; None where there is none to be had, so that the caller does the work."""
        if self._thread is None or self._thread.ended.is_set():
            try:
                self._thread = _Thread()
            except (RuntimeError, MemoryError):
                self._thread = None
        return self._thread

    def _timed(self, task: Callable[[], T], name: str) -> T:
        start = monotonic()
        try:
            return task()
        finally:
            self.longest[name] = max(self.longest.get(name, 0.0), monotonic() - start)

    def collect(self) -> None:
        """Take the results of the tasks that are done; waits for none."""
        while self._running and self._running[0].future.done():
            _take(self._running.pop(0))

    def join(self) -> None:
        """Wait until all tasks are done, and take their results."""
        self._finish(leave=0)

    def close(self) -> None:
        """Join, and end the thread; a later `submit` starts another."""
        try:
            self.join()
        finally:
            if self._thread is not None:
                self._thread.close()
                self._thread = None

    def _finish(self, leave: int) -> None:
        """Wait until no more than `leave` tasks are left."""
        self.collect()
        while len(self._running) > leave:
            _take(self._running.pop(0))


def _take(task: _Task) -> None:
    """Wait for a task, and hand on its result or its error."""
    while task.thread is not None and not wait([task.future], POLL).done:
        if task.thread.ended.is_set() and not task.future.done():
            task.failed(MemoryError("the thread that writes files has ended"))
            return
    try:
        result = task.future.result()
    except Exception as error:
        task.failed(error)
    else:
        task.then(result)


def frozen(state: Any) -> Any:
    """A copy of plain values and tensors that training no longer changes; the tensors on the CPU."""
    if isinstance(state, torch.Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, Mapping):
        return {key: frozen(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)(frozen(value) for value in state)
    return state
