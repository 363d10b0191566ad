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
"""Timeout in seconds for a thread to start or end, and interval in seconds between checks that it is alive."""


class _Thread:
    """A thread that runs tasks in order; all waits have a timeout.

    If memory is exhausted, a thread may never start, or may end early. `threading.Thread.start`, and thus every
    executor, would wait for it forever.

    Raises:
        RuntimeError: if no thread can be started.
    """

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._begun, self.ended = Event(), Event()
        start_new_thread(self._work, ())
        if not self._begun.wait(PATIENCE):
            self._queue.put(None)
            raise RuntimeError("can't start new thread")

    def submit(self, task: Callable[[], T]) -> Future[T]:
        """Run a task after all earlier tasks."""
        future: Future[T] = Future()
        self._queue.put((future, task))
        return future

    def close(self) -> None:
        """End the thread after all submitted tasks."""
        self._queue.put(None)
        self.ended.wait(PATIENCE)

    def _work(self) -> None:
        self._begun.set()
        try:
            while (work := self._queue.get()) is not None:
                _run(*work)
                del work  # frees its tensors
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
    """Runs tasks one after another in a thread, in the order of submission.

    At most one task waits while another runs, so memory use is bounded and files stay up to date.

    Args:
        enabled: whether to use a thread; False runs each task immediately in the caller's thread.
        failed: called in the caller's thread with a task's name and exception.
    """

    def __init__(self, enabled: bool, failed: Callable[[str, Exception], None]) -> None:
        self.enabled = enabled
        self.failed = failed
        self.longest: dict[str, float] = {}
        """Duration in seconds of the longest task per name since a reader last cleared it."""
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
            task: function that uses nothing that training changes: it uses copies of tensors, and no global random
                generator.
            then: function that a later `collect` calls with the result, in the caller's thread.
            name: name of the task, for `longest` and `failed`.
            failed: function that a later `collect` calls with the task's exception, instead of the common callback.
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
        """Return the thread; None if no thread can be started and the caller must run the task."""
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
        """Collect the results of finished tasks without waiting."""
        while self._running and self._running[0].future.done():
            _take(self._running.pop(0))

    def join(self) -> None:
        """Wait until all tasks are finished, and collect their results."""
        self._finish(leave=0)

    def close(self) -> None:
        """Join and end the thread; a later `submit` starts a new thread."""
        try:
            self.join()
        finally:
            if self._thread is not None:
                self._thread.close()
                self._thread = None

    def _finish(self, leave: int) -> None:
        """Wait until at most `leave` tasks are left."""
        self.collect()
        while len(self._running) > leave:
            _take(self._running.pop(0))


def _take(task: _Task) -> None:
    """Wait for a task and pass its result or exception to the callback."""
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
    """Copy plain values and tensors so that training no longer changes them; the copied tensors are on the CPU."""
    if isinstance(state, torch.Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, Mapping):
        return {key: frozen(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)(frozen(value) for value in state)
    return state
