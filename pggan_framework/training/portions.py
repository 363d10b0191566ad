"""Parts of a batch: portions that ranks compute in parallel, and micro-batches that are computed one after another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pggan_framework.cpu.transfer import to_device
from pggan_framework.errors import UserError
from pggan_framework.losses.base import Loss
from pggan_framework.losses.unrolled import UnrolledD
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase
from pggan_framework.networks.blocks import Head
from pggan_framework.networks.norms import Norm, SpectralNorm
from pggan_framework.networks.stddev import stddev_groups
from pggan_framework.training.distributed import World


@dataclass(frozen=True)
class Portion:
    """Some samples of a batch.

    Args:
        indices: indices of the samples, on the device of the batch; None for all samples.
        share: fraction of the batch that these samples are.
    """

    indices: Tensor | None = None
    share: float = 1.0

    def of(self, whole: Tensor) -> Tensor:
        """Return the samples of this portion from [N, ...]."""
        if self.indices is None:
            return whole
        chosen = whole[self.indices]
        return chosen.contiguous(memory_format=torch.channels_last) if chosen.dim() == 4 else chosen


@dataclass(frozen=True)
class Division:
    """The division of a batch, which is the same for every step of a phase.

    Args:
        rank: portion of the global batch that this rank computes.
        micro_batches: parts of this portion, which are computed one after another.
    """

    rank: Portion
    micro_batches: tuple[Portion, ...]


def divide(count: int, world: World, group: int, micro_batch: int | None, device: torch.device) -> Division:
    """Divide a batch of `count`; for the arguments, see `World.part` and `micro_batches`."""
    if world.size == 1:
        rank, own = Portion(), count
    else:
        indices = world.part(count, group)
        rank, own = Portion(to_device(torch.from_numpy(indices), device), len(indices) / count), len(indices)
    parts = micro_batches(own, micro_batch, group)
    if len(parts) == 1:
        return Division(rank, (Portion(),))
    return Division(rank, tuple(Portion(to_device(torch.from_numpy(part), device), len(part) / own) for part in parts))


def micro_batches(count: int, most: int | None, group: int = 1) -> list[NDArray[np.int64]]:
    """Divide a batch of `count` into the fewest micro-batches of nearly equal size; returns the indices of each.

    As in `World.part`, the groups of the minibatch standard deviation are not split.

    Args:
        count: size of the batch.
        most: largest number of samples in a micro-batch; None for the whole batch.
        group: largest number of samples in a group; 1 if samples are not compared.

    Raises:
        UserError: if a group is larger than `most`.
    """
    if most is None or count <= most:
        return [np.arange(count)]
    groups = stddev_groups(count, group) if group > 1 else count
    for parts in range(-(-count // most), groups + 1):
        found = [World(number, parts).part(count, group) for number in range(parts)]
        if max(map(len, found)) <= most:
            return found
    largest = -(-count // groups)
    raise UserError(
        f"micro_batch {most} is given, but the minibatch stddev of a batch of {count} compares groups of {largest};"
        f" allowed: {largest} and up, or a smaller Discriminator.mbstd_group"
    )


class Directions:
    """The power-iteration vectors of spectral norms, which each forward pass updates, whatever its input.

    Args:
        networks: networks with spectral norms.
    """

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        modules = (module for network in networks for module in network.modules())
        self._norms = [(norm, norm.direction.clone()) for norm in modules if isinstance(norm, SpectralNorm)]

    def take_back(self) -> None:
        """Restore the vectors, so that each micro-batch uses the same vectors as an undivided batch."""
        for norm, direction in self._norms:
            norm.direction.copy_(direction)


def comparing(loss: Loss, G: GeneratorBase, D: DiscriminatorBase) -> list[str]:
    """Return the names of parts that compare samples of a batch, so that their results depend on its division."""
    found = [term.name for term in loss.terms if term.compares]
    if isinstance(loss, UnrolledD):
        found.append(type(loss).__name__)
    for network in (G, D):
        if any(_over_the_batch(module) for module in network.modules()):
            found.append(f"{type(network).__name__}'s batch norm")
    if any(isinstance(module, Head) and module.mbstd in ("batch", "flat") for module in D.modules()):
        found.append("the minibatch stddev over the whole batch")
    return found


def _over_the_batch(module: nn.Module) -> bool:
    """True if `module` is this package's batch norm, or a batch norm with running averages, such as PyTorch's."""
    return (isinstance(module, Norm) and module.kind == "batch") or getattr(module, "running_mean", None) is not None


def micro_batch_notes(
    loss: Loss, G: GeneratorBase, D: DiscriminatorBase, world: World, most: int | None, batches: Iterable[int]
) -> list[str]:
    """Return notes that a run with divided batches logs at its start.

    Args:
        loss: loss of the networks.
        G: generator.
        D: discriminator.
        world: ranks of the run.
        most: largest number of samples in a micro-batch.
        batches: batch sizes of the run, over all ranks.

    Raises:
        UserError: if a batch cannot be divided this way.
    """
    group, divided = D.stddev_group, []
    for count in sorted(set(batches)):
        number = len(micro_batches(len(world.part(count, group)), most, group))
        if number > 1:
            divided.append(f"{count} in {number}")
    if not divided:
        return []
    found = [f"micro_batch {most}: batches are computed in parts: {', '.join(divided)}"]
    if seen := comparing(loss, G, D):
        found.append(f"micro_batch {most}: {', '.join(seen)} compare the samples of a part only, not of the batch")
    return found
