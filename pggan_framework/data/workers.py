"""Worker processes that read batches ahead of training; dead workers are replaced.

Batches are passed through anonymous shared memory, which does not depend on the size of /dev/shm. Processes share no
lock, so a worker that is killed at any moment cannot block the others.
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
"""Signals that end a run; only the trainer handles them, and it then ends the workers."""
LOST_IN_A_ROW = 3
"""Number of consecutive worker losses, without a batch in between, after which reading fails."""
PATIENCE = 1800.0
"""Time limit in seconds for one batch."""
POLL = 1.0
"""Seconds between two checks for whether training is about to end."""
GRACE = 10.0
"""Time limit in seconds for a batch once training is about to end."""

Read = Callable[[int], tuple[NDArray[Any], Any]]


class Failure(NamedTuple):
    """An exception passed out of a worker."""

    message: str
    expected: bool
    """True for a UserError; for other exceptions, the message is a traceback."""


class _Shared(NamedTuple):
    """A batch in shared memory."""

    shape: tuple[int, ...]
    kind: np.dtype[Any]
    known: Any


class StoppedWaitingError(Exception):
    """Raised if training is about to end and its data do not arrive."""


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    due: list[int] = field(default_factory=list)
    """Numbers of the requested batches, in order."""


class Workers:
    """Yields batches 0, 1, 2 ... of a sequence, each of which is read by one of several processes.

    Args:
        read: pure function that returns an array [N, C, h, w] and additional facts, given the number of a batch.
        count: number of processes.
        prefetch: number of batches that each process reads ahead.
        batch_bytes: bytes of shared memory for a batch; larger batches are sent through a pipe.
        before_fork: called before a process is started.
        stopping: returns True if training is about to end; the wait for a batch is then limited to `GRACE`.
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
        # fork shares a preloaded dataset, and preserves classes from a user's file, which spawn could not import.
        self._forks = sys.platform == "linux"
        self._context: Any = mp.get_context("fork" if self._forks else None)
        self._memory = mmap.mmap(-1, max(1, self._ahead * batch_bytes)) if self._forks else None
        self._workers: list[_Worker] = []
        self._close = finalize(self, _end_all, self._workers)
        self._next, self._lost = 0, 0
        self.replaced = 0
        """Number of workers that died and were replaced."""
        before_fork()
        with _signals_held():
            for number in range(count):
                self._workers.append(self._start(number))
        for number, worker in enumerate(self._workers):
            self._ask(worker, range(number, self._ahead, count))

    def __next__(self) -> tuple[torch.Tensor, Any] | Failure:
        """The next batch, on the CPU, and its additional facts.

        Raises:
            UserError: if workers die repeatedly, or a batch takes longer than `PATIENCE`.
            StoppedWaitingError: if training is about to end and the batch does not arrive.
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
            answer = shared.copy(), known  # the worker will overwrite it
        self._ask(worker, [self._next - 1 + self._ahead])
        return answer if isinstance(answer, Failure) else (torch.from_numpy(answer[0]), answer[1])

    def _answer(self, place: int) -> Any:
        """The next message of worker `place`; a dead worker is replaced, and its batches are read again."""
        started = time.monotonic()
        while True:
            worker = self._workers[place]
            ready = wait([worker.pipe, worker.process.sentinel], POLL)
            if worker.pipe in ready:
                try:
                    return worker.pipe.recv()
                except (EOFError, OSError):  # it died while sending
                    self._replace(place)
            elif ready:
                self._replace(place)
            waited = time.monotonic() - started
            if waited > GRACE and self._stopping():
                raise StoppedWaitingError
            if waited > PATIENCE:
                raise UserError(f"no batch of data arrived for {PATIENCE / 60:.0f} minutes; check the disk of the data")

    def _replace(self, place: int) -> None:
        worker = self._workers[place]
        worker.process.join(POLL)
        code = worker.process.exitcode
        self._lost += 1
        if self._lost > LOST_IN_A_ROW:
            how = f"by signal {-code}" if code is not None and code < 0 else f"with status {code}"
            raise UserError(
                f"{self._lost} data workers in a row have died, the last one {how}: the memory may be too"
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
        with suppress(OSError):  # it has died, which `_answer` handles
            for number in numbers:
                worker.pipe.send(number)

    def _slot(self, number: int) -> int:
        """The position of batch `number` in shared memory."""
        return number % self._ahead * self._batch_bytes

    def close(self) -> None:
        """Stop the processes."""
        self._close()


def _end_all(workers: list[_Worker]) -> None:
    while workers:
        _end(workers.pop())


def _end(worker: _Worker) -> None:
    worker.pipe.close()
    worker.process.kill()  # it writes no files
    worker.process.join()


def _work(read: Read, pipe: Connection, others: list[Connection], slots: Any, parent: int) -> None:
    """Main loop of a worker: runs until its pipe is closed, or the trainer has ended."""
    for other in others:  # close the trainer's pipe ends, which fork has copied
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
    except Exception:  # raised again in the trainer
        return Failure(traceback.format_exc(), False)


def _leave_group(parent: int) -> None:
    # The trainer handles Ctrl-C and a SIGTERM to the group: it finishes its step and then ends the workers.
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
    """Discard the signals that are pending since the fork; returns True if `process` sent one to end this worker."""
    found = False
    for number in signal.sigpending() & STOPS:
        if sys.platform == "linux":
            found |= signal.sigwaitinfo({number}).si_pid == process
        else:
            signal.sigwait({number})
    return found


@contextmanager
def _signals_held() -> Iterator[None]:
    """Block the signals that stop a program, so that none reaches a worker before it has left the group."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
