"""Activation checkpointing: select the feature maps to recompute; none are recomputed unless memory is too small."""

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
"""Upper bound of a step's memory, as a multiple of the feature maps of one pass through both networks; about 6 for
WGAN-GP."""


def recompute_from(
    G: GeneratorBase, D: DiscriminatorBase, batches: Mapping[int, int], training: Training, at_hand: int | None
) -> int | None:
    """Return the number of pixels from which feature maps are recomputed; None if recomputing is not needed.

    The largest feature maps are recomputed first, since they take the most memory. They are recomputed at the fewest
    depths with which a step fits, or at all depths if a step never fits.

    Args:
        G: generator; not modified.
        D: discriminator.
        batches: number of images per step at each trained depth.
        training: training settings.
        at_hand: available memory in bytes; None if unknown.
    """
    if at_hand is None or not batches:
        return None
    growth, depths = G.growth, sorted(batches, reverse=True)
    bound = _AT_MOST * _one_pass(G, D, depths[0], max(batches.values()))
    if resident_bytes(0, bound, next(G.parameters()).device) <= at_hand:
        return None  # skip the exact count of a step, which takes seconds
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
    """Return the bytes written by one pass through both networks, plus the bytes of their weights."""
    total = sum(p.numel() * p.element_size() for network in (G, D) for p in network.parameters())
    for network in (G, D):
        shadow = meta_copy(network)
        shadow.depth = depth
        shadow.alpha = 1
        with Ledger() as ledger, torch.no_grad():
            shadow(*meta_inputs(shadow, batch))
        total += ledger.written
    return total
