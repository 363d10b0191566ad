"""Worker processes that read batches ahead of training; one that dies is replaced.

Batches travel through anonymous shared memory, which is not part of /dev/shm: its size does not matter. No lock is
shared, so that a worker that is killed at any moment holds up nothing.
"""

from __future__ import annotations

import mmap
import multiprocessing as mp
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple
from weakref import finalize

import numpy as np
import torch
from numpy.typing import NDArray

from pggan_framework.errors import UserError

STOPS = {signal.SIGINT, signal.SIGTERM} | {
    getattr(signal, name) for name in ("SIGHUP", "SIGUSR1") if hasattr(signal, name)
}
"""Signals that end a run; they are for the trainer, which then ends the workers."""
LOST_IN_A_ROW = 3
"""Workers lost without a batch in between after which reading is given up."""
PATIENCE = 1800.0
"""Seconds that one batch may take."""
POLL = 1.0
"""Seconds between two looks at whether training is to end."""
GRACE = 10.0
"""Seconds that a batch may still take once training is to end."""

Read = Callable[[int], tuple[NDArray[Any], Any]]


class Failure(NamedTuple):
    """An exception on its way out of a worker."""

    message: str
    expected: bool
    """Whether it is a UserError; otherwise the message is a traceback."""


class _Shared(NamedTuple):
    """A batch that is in the shared memory."""

    shape: tuple[int, ...]
    kind: np.dtype[Any]
    known: Any


class StoppedWaitingError(Exception):
    """Training is to end and its data do not come."""


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    due: list[int] = field(default_factory=list)
    """Numbers of the batches it has been requested, in order."""


class Workers:
    """Gives batch 0, 1, 2 ... of a sequence, each read by one of several processes.

    Args:
        read: number of a batch -> array [N, C, h, w], and what is to be known of it; a pure function.
        count: how many processes.
        prefetch: batches that each reads ahead.
        batch_bytes: shared memory for a batch; a larger one is sent through a pipe.
        before_fork: called before a process is started.
        stopping: whether training is to end: then no batch is waited for longer than `GRACE`.
    """

    def __init__(
        self,
        read: Read,
        count: int,
        prefetch: int,
        batch_bytes: int,
        before_fork: Callable[[], None] = lambda: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._read, self._batch_bytes = read, batch_bytes
        self._ahead = count * prefetch
        self._before_fork, self._stopping = before_fork, stopping
        # fork shares a preloaded dataset, and knows classes from a user's file, which spawn could not import.
        self._forks = sys.platform == "linux"
        self._context: Any = mp.get_context("fork" if self._forks else None)
        self._memory = mmap.mmap(-1, max(1, self._ahead * batch_bytes)) if self._forks else None
        self._workers: list[_Worker] = []
        self._close = finalize(self, _end_all, self._workers)
        self._next, self._lost = 0, 0
        self.replaced = 0
        """Workers that died and were replaced."""
        before_fork()
        with _signals_held():
            for number in range(count):
                self._workers.append(self._start(number))
        for number, worker in enumerate(self._workers):
            self._ask(worker, range(number, self._ahead, count))

    def __next__(self) -> tuple[torch.Tensor, Any] | Failure:
        """The next batch, on the CPU, and what is to be known of it.

        Raises:
            UserError: if workers die again and again, or a batch takes longer than `PATIENCE`.
            StoppedWaitingError: if training is to end and the batch does not come.
        """
        place = self._next % len(self._workers)
        answer = self._answer(place)
        worker = self._workers[place]
        worker.due.pop(0)
        self._next, self._lost = self._next + 1, 0
        if isinstance(answer, _Shared):
            assert self._memory is not None
            shape, kind, known = answer
            start = self._slot(self._next - 1)
            count = int(np.prod(shape))
            shared = np.frombuffer(self._memory, kind, count, start).reshape(shape)
            answer = shared.copy(), known  # the worker is about to write there again
        self._ask(worker, [self._next - 1 + self._ahead])
        return answer if isinstance(answer, Failure) else (torch.from_numpy(answer[0]), answer[1])

    def _answer(self, place: int) -> Any:
        """What the worker at `place` sends next; a dead one is replaced, and its batches are read again."""
        started = time.monotonic()
        while True:
            worker = self._workers[place]
            ready = wait([worker.pipe, worker.process.sentinel], POLL)
            if worker.pipe in ready:
                try:
                    return worker.pipe.recv()
                except (EOFError, OSError):  # it died while it was sending
                    self._replace(place)
            elif ready:
                self._replace(place)
            waited = time.monotonic() - started
            if waited > GRACE and self._stopping():
                raise StoppedWaitingError
            if waited > PATIENCE:
                raise UserError(f"a batch of data has not come for {PATIENCE / 60:.0f} minutes; see to the data's disk")

    def _replace(self, place: int) -> None:
        worker = self._workers[place]
        worker.process.join(POLL)
        code = worker.process.exitcode
        self._lost += 1
        if self._lost > LOST_IN_A_ROW:
            how = f"by signal {-code}" if code is not None and code < 0 else f"with status {code}"
            raise UserError(
                f"{self._lost} data workers have died one after another, the last one {how}: the memory may be too"
                " small for them; allowed: a lower num_data_workers, 0 for none"
            )
        self.replaced += 1
        _end(worker)
        self._before_fork()
        with _signals_held():
            self._workers[place] = fresh = self._start(place)
        self._ask(fresh, worker.due)

    def _start(self, number: int) -> _Worker:
        here, there = self._context.Pipe()
        others = [worker.pipe for worker in self._workers] + [here] if self._forks else []
        slots = None
        if self._memory is not None:
            slots = (self._memory, self._slot, self._batch_bytes)
        arguments = (self._read, there, others, slots, os.getpid())
        process = self._context.Process(target=_work, args=arguments, name=f"data {number}", daemon=True)
        process.start()
        there.close()
        return _Worker(process, here)

    def _ask(self, worker: _Worker, numbers: Sequence[int]) -> None:
        worker.due += numbers
        with suppress(OSError):  # it has died, which `_answer` sees to
            for number in numbers:
                worker.pipe.send(number)

    def _slot(self, number: int) -> int:
        """Where in the shared memory batch `number` is."""
        return number % self._ahead * self._batch_bytes

    def close(self) -> None:
        """End the processes."""
        self._close()


def _end_all(workers: list[_Worker]) -> None:
    while workers:
        _end(workers.pop())


def _end(worker: _Worker) -> None:
    worker.pipe.close()
    worker.process.kill()  # it writes no files
    worker.process.join()


def _work(read: Read, pipe: Connection, others: list[Connection], slots: Any, parent: int) -> None:
    """The life of a worker: until its pipe is closed, or the trainer has gone."""
    for other in others:  # the trainer's ends, which a fork has copied: this process must not keep them open
        other.close()
    _leave_group(parent)
    torch.set_num_threads(1)
    while True:
        while not pipe.poll(5):
            if os.getppid() != parent:
                return
        try:
            number = pipe.recv()
            answer: Any = _batch(read, number)
            if slots is not None and not isinstance(answer, Failure) and answer[0].nbytes <= slots[2]:
                batch, memory, place = answer[0], slots[0], slots[1](number)
                np.frombuffer(memory, batch.dtype, batch.size, place).reshape(batch.shape)[:] = batch
                answer = _Shared(batch.shape, batch.dtype, answer[1])
            pipe.send(answer)
        except (EOFError, OSError):
            return


def _batch(read: Read, number: int) -> tuple[NDArray[Any], Any] | Failure:
    try:
        return read(number)
    except UserError as error:
        return Failure(str(error), True)
    except Exception:  # it is raised again in the trainer
        return Failure(traceback.format_exc(), False)


def _leave_group(parent: int) -> None:
    # Ctrl-C and a SIGTERM to the group are for the trainer, which finishes its step and then ends the workers.
    if sys.platform == "win32":
        return
    os.setpgrp()
    from_trainer = _pending_from(parent)
    for number in STOPS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    if from_trainer:
        os._exit(0)


def _pending_from(process: int) -> bool:
    """Drop the signals that came between the fork and here; whether `process` itself sent one, to end this worker."""
    found = False
    for number in signal.sigpending() & STOPS:
        if sys.platform == "linux":
            found |= signal.sigwaitinfo({number}).si_pid == process
        else:
            signal.sigwait({number})
    return found


@contextmanager
def _signals_held() -> Iterator[None]:
    """Hold back what stops a program, so that none hits a worker before it has left the group."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
