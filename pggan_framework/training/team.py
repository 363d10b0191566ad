"""Work that is divided among ranks and gathered on rank 0."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from pggan_framework.training.distributed import World

T = TypeVar("T")
SENT = 64 << 20
"""Number of bytes of an array per message."""


class Team:
    """The ranks that generate or measure samples in parallel.

    Data are sent from CPU memory with Gloo, whatever the device of the networks. With a single rank, all methods leave
    their arguments unchanged.

    Args:
        world: ranks of the run; by default this process alone.
    """

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()

    @property
    def main(self) -> bool:
        """True if this rank gathers and writes the results: rank 0."""
        return self.world.main

    def share(self, count: int, batch: int = 1, rank: int | None = None) -> range:
        """Return this rank's (or `rank`'s) range of `count` items, in complete batches and in the order of the ranks.

        Rank 0 has at least one item if `count` is not 0.
        """
        rank = self.world.rank if rank is None else rank
        batches = -(-count // batch)
        start, end = (-(-batches * each // self.world.size) for each in (rank, rank + 1))
        return range(min(start * batch, count), min(end * batch, count))

    @contextmanager
    def together(self) -> Iterator[None]:
        """A context in which the ranks can communicate.

        A rank that fails reports its error. The other ranks end silently when they notice the failure or torchrun ends
        them, and leave no files behind.
        """
        if self.world.size == 1:
            yield
            return
        before = signal.signal(signal.SIGTERM, _end)
        try:
            with self.world.connected(torch.device("cpu")):
                yield
                self.meet()
        finally:
            signal.signal(signal.SIGTERM, before)

    def meet(self) -> None:
        """Wait for the other ranks."""
        if self.world.size > 1:
            _heard(self.world.barrier)

    def broadcast(self, value: T) -> T:
        """Broadcast `value` from rank 0."""
        return value if self.world.size == 1 else _heard(lambda: self.world.broadcast_object(value))

    def gather(self, mine: NDArray[Any] | None, counts: list[int], add: Callable[[NDArray[Any]], None]) -> None:
        """Gather the rows of all ranks on rank 0, in the order of the ranks.

        Args:
            mine: rows of this rank, [n, ...], with the same dtype and row shape on all ranks; None for no rows.
            counts: number of rows of each rank; above 0 for rank 0.
            add: function that is called on rank 0 with some rows at a time.
        """
        rank = self.world.rank
        if not self.main:
            if counts[rank]:
                assert mine is not None and len(mine) == counts[rank]
                for part in _pieces(len(mine), mine[:1].nbytes):
                    data = np.ascontiguousarray(mine[part]).reshape(-1).view(np.uint8)
                    _heard(lambda data=data: dist.send(torch.from_numpy(data), 0))  # type: ignore[misc]
            return
        assert mine is not None and len(mine) == counts[0]
        add(mine)
        for other in range(1, self.world.size):
            for part in _pieces(counts[other], mine[:1].nbytes):
                rows = np.empty((part.stop - part.start, *mine.shape[1:]), mine.dtype)
                bytes_of = torch.from_numpy(rows.reshape(-1).view(np.uint8))
                _heard(lambda data=bytes_of, other=other: dist.recv(data, other))  # type: ignore[misc]
                add(rows)


def _pieces(count: int, size: int) -> Iterator[slice]:
    """Yield slices of `count` rows of `size` bytes, one per message."""
    step = max(1, SENT // max(size, 1))
    return (slice(at, min(at + step, count)) for at in range(0, count, step))


def _heard(talk: Callable[[], T]) -> T:
    """Return the result of `talk`; exit if another rank has ended, since that rank has already reported the error."""
    try:
        return talk()
    except RuntimeError as error:
        raise SystemExit(1) from error


def _end(number: int, frame: object) -> None:
    raise SystemExit(128 + number)
