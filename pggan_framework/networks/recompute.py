"""Activation checkpointing: recompute feature maps in the backward pass instead of keeping them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pggan_framework.networks.norms import Norm, SpectralNorm
from pggan_framework.networks.torch_private import is_traced, shallow_copy


def _mixes(module: nn.Module) -> bool:
    """True if a module's output for a sample depends on the other samples or their number."""
    drawn = isinstance(module, nn.Dropout) and module.p > 0
    return drawn or isinstance(module, SpectralNorm) or (isinstance(module, Norm) and module.kind == "batch")


def recomputed(
    work: Callable[..., Tensor], modules: Sequence[nn.Module], *inputs: Tensor, apart: bool = False
) -> Tensor:
    """Compute ``work(*modules, *inputs)`` and store only the inputs for the backward pass.

    The method is that of Chen et al. 2016, arXiv 1604.06174. All derivatives, to any order, equal those without
    recomputation; the second pass draws the same random numbers. In a graph that is traced for compiling, the
    recomputed operations are placed where the backward pass needs them.

    Args:
        work: function of modules and tensors.
        modules: all modules with weights or buffers that `work` uses.
        inputs: tensors [N, ...].
        apart: process one sample at a time, if the modules allow it; otherwise the feature maps of the whole batch in a
            large block's backward pass take the most memory.
    """
    layers = [layer for module in modules for layer in module.modules()]

    def once(*some: Tensor) -> Tensor:
        # Buffers such as batch norm's averages must be updated only once.
        before = [{name: value.clone() for name, value in layer.named_buffers(recurse=False)} for layer in layers]
        ran = False

        def pass_(*some: Tensor) -> Tensor:
            nonlocal ran
            if not ran:
                ran = True
                return work(*modules, *some)
            kept = zip(layers, before, strict=True)
            changes = {layer: {name: value.clone() for name, value in own.items()} for layer, own in kept if own}
            return work(*(shallow_copy(module, changes) for module in modules), *some)

        # A graph cannot contain the generators' states; a layer that draws random numbers is not captured anyway.
        found: Tensor = checkpoint(pass_, *some, use_reentrant=False, preserve_rng_state=not is_traced())
        return found

    if not apart or any(_mixes(layer) for layer in layers):
        return once(*inputs)
    samples = zip(*(torch.split(tensor, 1) for tensor in inputs), strict=True)
    return torch.cat([once(*sample) for sample in samples])
