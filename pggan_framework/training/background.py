"""Background writing: a separate thread writes files while training continues."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from time import monotonic
from typing import Any, NamedTuple, TypeVar

import torch

T = TypeVar("T")


class _Task(NamedTuple):
    future: Future[Any]
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
        self._pool: ThreadPoolExecutor | None = None
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
        if not self.enabled:
            future: Future[T] = Future()
            try:
                future.set_result(self._timed(task, name))
            except Exception as error:
                future.set_exception(error)
            _take(_Task(future, then, on_error))
            return
        self._finish(leave=1)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, "background")
        self._running.append(_Task(self._pool.submit(self._timed, task, name), then, on_error))

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
            if self._pool is not None:
                self._pool.shutdown(wait=True)
                self._pool = None

    def _finish(self, leave: int) -> None:
        """Wait until no more than `leave` tasks are left."""
        self.collect()
        while len(self._running) > leave:
            _take(self._running.pop(0))


def _take(task: _Task) -> None:
    """Wait for a task, and hand on its result or its error."""
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
