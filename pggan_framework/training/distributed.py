"""Several processes that train one pair of networks, started by ``torchrun``.

Each process computes its part of every batch. The gradients are added up once after each backward pass, so that all
processes take the same step, and nothing else is sent: there is no wrapper around the networks.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from pggan_framework.cpu.transfer import Postbox
from pggan_framework.errors import UserError
from pggan_framework.networks.stddev import stddev_groups

T = TypeVar("T")
TIMEOUT = timedelta(minutes=30)
"""How long a process waits for the others: longer than the main process needs for samples and metrics."""


class World:
    """The processes that train together; one, unless torchrun has started several.

    With one process no method does anything to what it is given.

    Args:
        rank: this process's number, from 0.
        size: how many there are.
        local_rank: its number on this machine, which is that of its GPU.
    """

    joined = False
    """Whether this program has ever been in touch with other processes."""

    def __init__(self, rank: int = 0, size: int = 1, local_rank: int = 0) -> None:
        self.rank, self.size, self.local_rank = rank, size, local_rank
        self._generators: dict[str, torch.Generator] = {}
        self._wishes = Postbox()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> World:
        """What torchrun says in RANK, WORLD_SIZE and LOCAL_RANK.

        Raises:
            UserError: if that is not a number, or a rank outside the world.
        """
        if "RANK" not in environment or "WORLD_SIZE" not in environment:
            return cls()
        try:
            rank, size, local = (int(environment.get(name, "0")) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
        except ValueError as error:
            raise UserError(f"RANK, WORLD_SIZE, LOCAL_RANK: {error}; torchrun sets them") from error
        if not 0 <= rank < size:
            raise UserError(
                f"RANK is {rank} and WORLD_SIZE {size}; allowed: 0 to WORLD_SIZE - 1, as torchrun sets them"
            )
        return cls(rank, size, local)

    @property
    def main(self) -> bool:
        """Whether this process writes files and logs."""
        return self.rank == 0

    @contextmanager
    def connected(self, device: torch.device) -> Iterator[None]:
        """Within it the processes can talk: by NCCL for CUDA, by Gloo for a CPU.

        It is entered, and left without an error, by all of them together.
        """
        if self.size == 1:
            yield
            return
        if device.type == "cuda":
            torch.cuda.set_device(device)
        # Its functions take the group of the moment of their import as a default, and torch.compile imports it. They
        # would hold the group for ever: its threads then run into the interpreter's end, and abort the process there.
        from torch.distributed.nn import functional  # noqa: F401

        World.joined = True
        store, rank, size = next(rendezvous("env://", timeout=TIMEOUT))
        # Processes that torchrun has started again would find the addresses of those that have died.
        store = PrefixStore(f"attempt {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=TIMEOUT)
        try:
            yield
            self.barrier()
        finally:
            dist.destroy_process_group()

    def part(self, count: int, group: int = 1) -> NDArray[np.int64]:
        """Which samples of a batch of `count` this process computes, in order.

        The minibatch standard deviation compares samples of a group; a group stays together, so that it is the same as
        in one process, where there are at least as many groups as processes. Else the parts are contiguous.

        Args:
            count: of the whole batch.
            group: most samples in a group; 1 where none are compared.

        Raises:
            UserError: if there are fewer samples than processes.
        """
        if count < self.size:
            raise UserError(
                f"a batch of {count} cannot be divided among {self.size} processes; allowed: one each or more"
            )
        samples = np.arange(count)
        groups = stddev_groups(count, group) if group > 1 else count
        if groups < self.size:
            groups = count
        first, end = groups * self.rank // self.size, groups * (self.rank + 1) // self.size
        number = samples % groups
        chosen: NDArray[np.int64] = samples[(first <= number) & (number < end)]
        return chosen

    def parts(self, ranks: Iterable[int], count: int, group: int = 1) -> NDArray[np.int64]:
        """Which samples of a batch of `count` these processes compute together, in order; see `part`."""
        return np.sort(np.concatenate([World(rank, self.size).part(count, group) for rank in ranks]))

    def splits_groups(self, count: int, group: int) -> bool:
        """Whether a batch of `count` has too few groups for every process to have whole ones."""
        return self.size > 1 and group > 1 and stddev_groups(count, group) < self.size

    def seed(self, seed: int) -> None:
        """Let `generator` begin anew; the same seed in all processes."""
        for generator in self._generators.values():
            generator.manual_seed(seed)
        self._seed = seed

    def generator(self, device: torch.device) -> torch.Generator | None:
        """The source of what all processes draw alike; None, the global one, where there is but one process."""
        if self.size == 1:
            return None
        if device.type not in self._generators:
            self._generators[device.type] = torch.Generator(device).manual_seed(getattr(self, "_seed", 0))
        return self._generators[device.type]

    def all_reduce(self, gradients: Sequence[Tensor], share: float, wish: bool = False) -> None:
        """Replace each gradient by the sum over the processes of `share` times theirs; in one message.

        Args:
            gradients: the same ones in every process, of one type.
            share: of the batch that this process has had; those of all processes add up to 1.
            wish: whether this process wants training to end; see `agreed`.
        """
        if self.size == 1:
            return
        first = gradients[0]
        flat = torch.cat([*(gradient.reshape(-1) for gradient in gradients), first.new_zeros(1)]).mul_(share)
        flat[-1:].fill_(float(wish))
        dist.all_reduce(flat)
        place = 0
        for gradient in gradients:
            gradient.copy_(flat[place : place + gradient.numel()].view_as(gradient))
            place += gradient.numel()
        self._wishes.send(flat[-1])

    def agreed(self) -> bool:
        """Whether, at one of the updates before the last, any process requested to end: all get the same answer.

        The last one's answer may still be on its way; to wait for it would hold up a GPU at each step.
        """
        known = [self._wishes.read() for _ in range(len(self._wishes) - 1)]
        return any(wish > 0 for wish in known)

    def mean(self, values: Tensor, share: float) -> Tensor:
        """The mean over the whole batch of `values`, which are means over this process's `share` of it."""
        if self.size == 1:
            return values
        values = values * share
        dist.all_reduce(values)
        return values

    def gather(self, values: Tensor, indices: Tensor | None, count: int) -> Tensor:
        """The values [count, ...] of a whole batch, of which this rank has those at `indices`, on every rank."""
        if self.size == 1 or indices is None:
            return values
        everything = values.new_zeros(count, *values.shape[1:])
        everything[indices] = values.detach()
        dist.all_reduce(everything)
        return everything

    def barrier(self) -> None:
        """Wait for the other processes."""
        if self.size > 1:
            dist.barrier()

    def broadcast_object(self, value: T) -> T:
        """The main process's `value`, in every process."""
        if self.size == 1:
            return value
        box: list[Any] = [value]
        dist.broadcast_object_list(box)
        told: T = box[0]
        return told

    def broadcast(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by the main process's."""
        if self.size > 1:
            for tensor in tensors:
                told = tensor.detach().contiguous()
                dist.broadcast(told, 0)
                tensor.detach().copy_(told)

    def check_equal(self, tensors: Sequence[Tensor]) -> None:
        """Check that all processes hold the same values.

        Raises:
            RuntimeError: naming the processes that differ from the main one.
        """
        if self.size == 1:
            return
        sums = [torch.stack([tensor.double().sum(), tensor.double().square().sum()]) for tensor in tensors]
        mine = torch.stack(sums).view(torch.int64).sum(0)  # of the bits: a NaN equals itself
        all_of_them = [torch.empty_like(mine) for _ in range(self.size)]
        dist.all_gather(all_of_them, mine)
        wrong = [rank for rank, theirs in enumerate(all_of_them) if not torch.equal(theirs, all_of_them[0])]
        if wrong:
            raise RuntimeError(f"the networks of processes {wrong} have come apart from those of process 0")


def launcher(environment: Mapping[str, str] = os.environ) -> str:
    """An identifier of one torchrun session, constant over restarts of its processes; empty without torchrun."""
    if "TORCHELASTIC_RESTART_COUNT" not in environment:
        return ""
    name = environment.get("TORCHELASTIC_RUN_ID", "none")
    if name != "none":
        return name
    try:  # the agent's process, and when it was started
        born = Path(f"/proc/{os.getppid()}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        born = ""
    return f"agent {os.getppid()} {born}".strip()


def restarted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether torchrun has started this process in the place of one that has died."""
    return environment.get("TORCHELASTIC_RESTART_COUNT", "0") not in ("", "0")
