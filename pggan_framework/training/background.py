"""What a step need not wait for: files are written by a thread of their own while training goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic
from typing import Any, TypeVar

import torch

T = TypeVar("T")


class Background:
    """Runs one task after another in a thread, in the order they were given.

    Never more than one task waits behind the one that runs, so that neither memory nor the files fall behind. What a
    task raises is raised by the next call of any method; nothing else is lost by it.

    Args:
        enabled: False to run each task at once, where it is given.
    """

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled
        self.longest: dict[str, float] = {}
        """Seconds that the longest task of each name took, since whoever reads them last cleared them."""
        self._pool: ThreadPoolExecutor | None = None
        self._running: list[tuple[Future[Any], Callable[[Any], None] | None]] = []

    def submit(self, task: Callable[[], T], then: Callable[[T], None] | None = None, name: str = "other") -> None:
        """Run `task` in the thread.

        Args:
            task: must not touch what training changes: copies of tensors, and no global random generator.
            then: called with the result by a later `collect`, in the caller's thread.
            name: what kind of task it is, for `longest`.
        """
        if not self.enabled:
            result = self._timed(task, name)
            if then is not None:
                then(result)
            return
        try:
            self._finish(leave=1)
        finally:  # whatever an earlier task has raised, this one is not lost
            if self._pool is None:
                self._pool = ThreadPoolExecutor(1, "background")
            self._running.append((self._pool.submit(self._timed, task, name), then))

    def _timed(self, task: Callable[[], T], name: str) -> T:
        start = monotonic()
        try:
            return task()
        finally:
            self.longest[name] = max(self.longest.get(name, 0.0), monotonic() - start)

    def collect(self) -> None:
        """Take the results of the tasks that are done; waits for none."""
        while self._running and self._running[0][0].done():
            self._take()

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
            self._take()

    def _take(self) -> None:
        future, then = self._running.pop(0)
        result = future.result()
        if then is not None:
            then(result)


def frozen(state: Any) -> Any:
    """A copy of plain values and tensors that training no longer changes; the tensors on the CPU."""
    if isinstance(state, torch.Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, Mapping):
        return {key: frozen(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)(frozen(value) for value in state)
    return state
