"""Activation checkpointing: feature maps that are recomputed in the backward pass rather than kept for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pggan_framework.networks.norms import Norm, SpectralNorm
from pggan_framework.networks.torch_private import is_traced, shallow_copy


def _mixes(module: nn.Module) -> bool:
    """Whether what it makes of a sample depends on the others, or on how many there are."""
    drawn = isinstance(module, nn.Dropout) and module.p > 0
    return drawn or isinstance(module, SpectralNorm) or (isinstance(module, Norm) and module.kind == "batch")


def recomputed(
    work: Callable[..., Tensor], modules: Sequence[nn.Module], *inputs: Tensor, apart: bool = False
) -> Tensor:
    """``work(*modules, *inputs)``, of which only the inputs are kept for the backward pass.

    Chen et al. 2016, arXiv 1604.06174. All derivatives are those without it, to any order; random numbers are the same
    the second time. In a graph that is traced for compiling, the operations of the second time come where the backward
    pass needs them.

    Args:
        work: a function of modules and tensors.
        modules: all that have weights or buffers in it.
        inputs: tensors [N, ...].
        apart: one sample after the other, where the modules allow it: of a large block, the whole batch's feature maps
            in its backward pass are what takes the most memory.
    """
    layers = [layer for module in modules for layer in module.modules()]

    def once(*some: Tensor) -> Tensor:
        # What a pass changes in buffers, as batch norm's averages, is to change once.
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

        # The state of the generators is nothing that a graph can hold; a layer that draws is not captured anyway.
        found: Tensor = checkpoint(pass_, *some, use_reentrant=False, preserve_rng_state=not is_traced())
        return found

    if not apart or any(_mixes(layer) for layer in layers):
        return once(*inputs)
    samples = zip(*(torch.split(tensor, 1) for tensor in inputs), strict=True)
    return torch.cat([once(*sample) for sample in samples])
