"""Which feature maps are recomputed in the backward pass: none, unless the memory at hand is too small for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch

from pggan_framework.cpu.memory import resident_bytes
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase
from pggan_framework.networks.describe import meta_copy, meta_inputs
from pggan_framework.training.costing import Ledger
from pggan_framework.training.estimate import Training, memory_bytes

_AT_MOST = 16
"""A step takes less than so many times the feature maps of one pass through both networks; with WGAN-GP some 6."""


def recompute_from(
    G: GeneratorBase, D: DiscriminatorBase, batches: Mapping[int, int], training: Training, at_hand: int | None
) -> int | None:
    """The pixels from which on feature maps are to be recomputed; None: none need be.

    The largest feature maps come first, since they take the most memory: as few depths as make a step fit, or all
    where none is enough.

    Args:
        G: the generator; nothing is changed.
        D: the discriminator.
        batches: images a step at each depth that is trained.
        training: how they are trained.
        at_hand: bytes; None where they are not known.
    """
    if at_hand is None or not batches:
        return None
    growth, depths = G.growth, sorted(batches, reverse=True)
    bound = _AT_MOST * _one_pass(G, D, depths[0], max(batches.values()))
    if resident_bytes(0, bound, next(G.parameters()).device) <= at_hand:
        return None  # no step is counted, which takes seconds
    sizes = [height * width for _, height, width in map(growth.shape_at, depths)]
    usual = G.execution, D.execution
    try:
        for pixels in (None, *sizes):
            for network, execution in zip((G, D), usual, strict=True):
                network.execute(replace(execution, recompute_from=pixels))
            if all(memory_bytes(G, D, growth, depth, batches[depth], training) <= at_hand for depth in depths):
                return pixels
    finally:
        for network, execution in zip((G, D), usual, strict=True):
            network.execute(execution)
    return 0


def _one_pass(G: GeneratorBase, D: DiscriminatorBase, depth: int, batch: int) -> int:
    """Bytes of what one pass through both networks writes, and of their weights."""
    total = sum(p.numel() * p.element_size() for network in (G, D) for p in network.parameters())
    for network in (G, D):
        shadow = meta_copy(network)
        shadow.depth = depth
        shadow.alpha = 1
        with Ledger() as ledger, torch.no_grad():
            shadow(*meta_inputs(shadow, batch))
        total += ledger.written
    return total
