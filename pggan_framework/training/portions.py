"""Parts of a batch: those that ranks compute side by side, and micro-batches, which follow one another."""

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
        indices: which, on the batch's device; None for all of them.
        share: their fraction of the batch.
    """

    indices: Tensor | None = None
    share: float = 1.0

    def of(self, whole: Tensor) -> Tensor:
        """These samples of [N, ...]."""
        if self.indices is None:
            return whole
        chosen = whole[self.indices]
        return chosen.contiguous(memory_format=torch.channels_last) if chosen.dim() == 4 else chosen


@dataclass(frozen=True)
class Division:
    """How a batch is divided; the same in every step of a phase.

    Args:
        rank: this rank's portion of the whole batch.
        micro_batches: portions of the rank's, computed one after the other.
    """

    rank: Portion
    micro_batches: tuple[Portion, ...]


def divide(count: int, world: World, group: int, micro_batch: int | None, device: torch.device) -> Division:
    """How a batch of `count` is divided; the arguments are `World.part`'s and `micro_batches`'."""
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
    """The samples of each micro-batch of a batch of `count`: as few as can be, as equal as can be.

    The groups of the minibatch standard deviation stay together, as they do in `World.part`.

    Args:
        count: of the batch.
        most: samples in a micro-batch; None for the whole batch.
        group: most samples in a group; 1 where none are compared.

    Raises:
        UserError: if a group has more than `most`.
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
    """Where spectral norms are. Each pass moves them on, whatever it sees.

    Args:
        networks: whose norms they are.
    """

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        modules = (module for network in networks for module in network.modules())
        self._norms = [(norm, norm.direction.clone()) for norm in modules if isinstance(norm, SpectralNorm)]

    def take_back(self) -> None:
        """Leave them unchanged, so that each part of a batch sees what all of it would have seen."""
        for norm, direction in self._norms:
            norm.direction.copy_(direction)


def comparing(loss: Loss, G: GeneratorBase, D: DiscriminatorBase) -> list[str]:
    """What looks at the samples of a batch together, so that it is another thing in parts of it; by name."""
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
    """Whether it is a batch norm: ours, or one that has averages, as PyTorch's."""
    return (isinstance(module, Norm) and module.kind == "batch") or getattr(module, "running_mean", None) is not None


def micro_batch_notes(
    loss: Loss, G: GeneratorBase, D: DiscriminatorBase, world: World, most: int | None, batches: Iterable[int]
) -> list[str]:
    """What there is to say at the start of a run whose batches are divided.

    Args:
        loss: what the networks minimise.
        G: the generator.
        D: the discriminator.
        world: the ranks.
        most: samples in a micro-batch.
        batches: the sizes of the run's batches, over all ranks.

    Raises:
        UserError: if a batch cannot be divided so.
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
