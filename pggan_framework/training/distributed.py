"""Distributed training of one pair of networks in several processes (ranks), started by ``torchrun``.

Each rank computes its part of every batch. One all_reduce sums the gradients after each backward pass, so all ranks
take the same step. Nothing else is sent, and the networks need no wrapper.
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
"""Timeout of collective operations, longer than rank 0 needs for samples and metrics."""


class World:
    """The ranks of a training run; a single rank unless torchrun has started several.

    With a single rank, all methods leave their arguments unchanged.

    Args:
        rank: rank of this process, from 0.
        size: number of ranks.
        local_rank: rank on this machine, which is the index of its GPU.
    """

    joined = False
    """True if this program has ever communicated with other processes."""

    def __init__(self, rank: int = 0, size: int = 1, local_rank: int = 0) -> None:
        self.rank, self.size, self.local_rank = rank, size, local_rank
        self._generators: dict[str, torch.Generator] = {}
        self._stops = Postbox()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> World:
        """Read RANK, WORLD_SIZE and LOCAL_RANK, as set by torchrun.

        Raises:
            UserError: if a value is not a number, or a rank is not below the world size.
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
        """True if this process is rank 0, which writes files and logs."""
        return self.rank == 0

    @contextmanager
    def connected(self, device: torch.device) -> Iterator[None]:
        """A context in which the ranks can communicate: with NCCL on CUDA, with Gloo on a CPU.

        All ranks enter it together, and leave it together unless an error occurs.
        """
        if self.size == 1:
            yield
            return
        if device.type == "cuda":
            torch.cuda.set_device(device)
        # The functions of this module use the process group at import time as a default argument, and torch.compile
        # imports the module. They would keep the group alive forever: its threads would still run at interpreter
        # shutdown and abort the process.
        from torch.distributed.nn import functional  # noqa: F401

        World.joined = True
        store, rank, size = next(rendezvous("env://", timeout=TIMEOUT))
        # Processes that torchrun restarts would find the addresses of the dead processes.
        store = PrefixStore(f"attempt {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=TIMEOUT)
        try:
            yield
            self.barrier()
        finally:
            dist.destroy_process_group()

    def part(self, count: int, group: int = 1) -> NDArray[np.int64]:
        """Return the indices of this rank's samples in a batch of `count`, in order.

        The minibatch standard deviation compares the samples of a group. If there are at least as many groups as ranks,
        groups are not split, so the result equals the result of a single process. Otherwise, the parts are contiguous.

        Args:
            count: size of the global batch.
            group: largest number of samples in a group; 1 if samples are not compared.

        Raises:
            UserError: if there are fewer samples than ranks.
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
        """Return the indices of the samples of these ranks in a batch of `count`, in order; see `part`."""
        return np.sort(np.concatenate([World(rank, self.size).part(count, group) for rank in ranks]))

    def splits_groups(self, count: int, group: int) -> bool:
        """True if a batch of `count` has fewer groups than ranks."""
        return self.size > 1 and group > 1 and stddev_groups(count, group) < self.size

    def seed(self, seed: int) -> None:
        """Reseed `generator`, with the same seed on all ranks."""
        for generator in self._generators.values():
            generator.manual_seed(seed)
        self._seed = seed

    def generator(self, device: torch.device) -> torch.Generator | None:
        """Return the random generator shared by all ranks; None (the global generator) with a single rank."""
        if self.size == 1:
            return None
        if device.type not in self._generators:
            self._generators[device.type] = torch.Generator(device).manual_seed(getattr(self, "_seed", 0))
        return self._generators[device.type]

    def all_reduce(self, gradients: Sequence[Tensor], share: float, stop: bool = False) -> None:
        """Replace each gradient by its sum over all ranks, weighted by their `share`, with a single all_reduce.

        Args:
            gradients: gradients of one dtype, in the same order on every rank.
            share: fraction of the batch that this rank has; the fractions of all ranks sum to 1.
            stop: True if this rank requests the end of training; see `agreed`.
        """
        if self.size == 1:
            return
        first = gradients[0]
        flat = torch.cat([*(gradient.reshape(-1) for gradient in gradients), first.new_zeros(1)]).mul_(share)
        flat[-1:].fill_(float(stop))
        dist.all_reduce(flat)
        place = 0
        for gradient in gradients:
            gradient.copy_(flat[place : place + gradient.numel()].view_as(gradient))
            place += gradient.numel()
        self._stops.send(flat[-1])

    def agreed(self) -> bool:
        """True if any rank requested the end of training before the last update; equal on all ranks.

        The request of the last update may still be in transit; waiting for it would stall the GPU at each step.
        """
        known = [self._stops.read() for _ in range(len(self._stops) - 1)]
        return any(request > 0 for request in known)

    def mean(self, values: Tensor, share: float) -> Tensor:
        """Return the mean over the global batch of `values`, which are means over this rank's `share` of it."""
        if self.size == 1:
            return values
        values = values * share
        dist.all_reduce(values)
        return values

    def gather(self, values: Tensor, indices: Tensor | None, count: int) -> Tensor:
        """Return the values [count, ...] of the global batch on every rank; this rank provides the rows `indices`."""
        if self.size == 1 or indices is None:
            return values
        everything = values.new_zeros(count, *values.shape[1:])
        everything[indices] = values.detach()
        dist.all_reduce(everything)
        return everything

    def barrier(self) -> None:
        """Wait for the other ranks."""
        if self.size > 1:
            dist.barrier()

    def broadcast_object(self, value: T) -> T:
        """Return rank 0's `value` on every rank."""
        if self.size == 1:
            return value
        box: list[Any] = [value]
        dist.broadcast_object_list(box)
        told: T = box[0]
        return told

    def broadcast(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by the tensor of rank 0."""
        if self.size > 1:
            for tensor in tensors:
                told = tensor.detach().contiguous()
                dist.broadcast(told, 0)
                tensor.detach().copy_(told)

    def check_equal(self, tensors: Sequence[Tensor]) -> None:
        """Check that all ranks hold the same values.

        Raises:
            RuntimeError: if ranks differ from rank 0; the message lists them.
        """
        if self.size == 1:
            return
        sums = [torch.stack([tensor.double().sum(), tensor.double().square().sum()]) for tensor in tensors]
        mine = torch.stack(sums).view(torch.int64).sum(0)  # compare bits, so that a NaN equals itself
        all_of_them = [torch.empty_like(mine) for _ in range(self.size)]
        dist.all_gather(all_of_them, mine)
        wrong = [rank for rank, theirs in enumerate(all_of_them) if not torch.equal(theirs, all_of_them[0])]
        if wrong:
            raise RuntimeError(f"the networks of processes {wrong} have come apart from those of process 0")


def launcher(environment: Mapping[str, str] = os.environ) -> str:
    """Return an identifier of the torchrun session, constant over restarts of its processes; empty without torchrun."""
    if "TORCHELASTIC_RESTART_COUNT" not in environment:
        return ""
    name = environment.get("TORCHELASTIC_RUN_ID", "none")
    if name != "none":
        return name
    try:  # the PID and start time of torchrun's agent
        born = Path(f"/proc/{os.getppid()}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        born = ""
    return f"agent {os.getppid()} {born}".strip()


def restarted(environment: Mapping[str, str] = os.environ) -> bool:
    """True if torchrun started this process to replace a process that died."""
    return environment.get("TORCHELASTIC_RESTART_COUNT", "0") not in ("", "0")
