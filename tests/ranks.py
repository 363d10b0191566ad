"""Several processes in one: each is a thread, and what they send goes through memory."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
import torch

from pggan_framework.training.distributed import World
from pggan_framework.training.team import Team

T = TypeVar("T")


class ThreadWorld(World):
    """One of several threads that take themselves for processes."""

    def __init__(self, rank: int, size: int, barrier: threading.Barrier, box: list[Any]) -> None:
        super().__init__(rank, size)
        self._barrier, self._box = barrier, box

    def barrier(self) -> None:
        self._barrier.wait(60)

    def broadcast_object(self, value: T) -> T:
        if self.main:
            self._box[0] = value
        self.barrier()
        told: T = self._box[0]
        self.barrier()
        return told


class Post:
    """`torch.distributed`'s send and recv between the threads."""

    def __init__(self, size: int) -> None:
        self.here = threading.local()
        self.sent: list[queue.Queue[torch.Tensor]] = [queue.Queue() for _ in range(size)]

    def send(self, data: torch.Tensor, to: int) -> None:
        assert to == 0
        self.sent[self.here.rank].put(data.clone())

    def recv(self, data: torch.Tensor, source: int) -> None:
        data.copy_(self.sent[source].get(timeout=60))


def all_ranks(size: int, work: Callable[[Team], T], monkeypatch: pytest.MonkeyPatch) -> list[T]:
    """What `work` gives in each of `size` processes, in their order."""
    post, barrier, box = Post(size), threading.Barrier(size), [None]
    monkeypatch.setattr("pggan_framework.training.team.dist", post)
    found: dict[int, T] = {}
    errors: list[BaseException] = []

    def run(rank: int) -> None:
        post.here.rank = rank
        try:
            found[rank] = work(Team(ThreadWorld(rank, size, barrier, box)))
        except BaseException as error:
            errors.append(error)
            barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [found[rank] for rank in range(size)]
