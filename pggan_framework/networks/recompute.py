"""Activation checkpointing: feature maps that are computed again in the backward pass rather than kept for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from types import TracebackType
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import stateless
from torch.utils.checkpoint import checkpoint

from pggan_framework.networks.layers import ScaledConv, kernels, kernels_as
from pggan_framework.networks.norms import Norm, SpectralNorm

LARGE = 512 * 512
"""Pixels of feature maps that `auto` takes for large."""

RecomputeWish = Literal["auto", "never", "always"]


def pixels_for(wish: RecomputeWish) -> int | None:
    """From how many pixels on feature maps are computed again; None: never."""
    return {"auto": LARGE, "never": None, "always": 0}[wish]


_all_kept = False


@contextmanager
def all_kept() -> Iterator[None]:
    """Within it nothing is left to be computed again.

    For a gradient that is differentiated again: what it is computed from is kept for that anyway, and with copies of it
    nothing would be saved.
    """
    global _all_kept
    before, _all_kept = _all_kept, True
    try:
        yield
    finally:
        _all_kept = before


class _AsBefore(AbstractContextManager[None]):
    """Within it, each time, modules have the tensors they had when it was made, and kernels are those shared then.

    Weights may be others in the backward pass, where they stood in for a moment only, and what a pass changes in
    buffers is to change once.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        shared = kernels()
        # Copied: where other weights stand in later on, others are shared.
        self._kernels = None if shared is None else dict(shared)
        self._modules = [
            (module, dict(module.named_parameters()), {name: b.clone() for name, b in module.named_buffers()})
            for module in modules
        ]
        self._entered: list[ExitStack] = []

    def __enter__(self) -> None:
        with ExitStack() as stack:
            stack.enter_context(kernels_as(self._kernels))
            for module, weights, buffers in self._modules:
                copies = {name: buffer.clone() for name, buffer in buffers.items()}
                stack.enter_context(stateless._reparametrize_module(module, {**weights, **copies}))
            self._entered.append(stack.pop_all())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered.pop().__exit__(kind, error, trace)


def _mixes(module: nn.Module) -> bool:
    """Whether what it makes of a sample depends on the others, or on how many there are."""
    drawn = isinstance(module, nn.Dropout) and module.p > 0
    return drawn or isinstance(module, SpectralNorm) or (isinstance(module, Norm) and module.kind == "batch")


def recomputed(
    function: Callable[..., Tensor], modules: Sequence[nn.Module], *inputs: Tensor, apart: bool = False
) -> Tensor:
    """``function(*inputs)``, of which only the inputs are kept for the backward pass.

    Chen et al. 2016, arXiv 1604.06174. All derivatives are those without it, to any order; random numbers are the same
    the second time.

    Args:
        function: of the inputs, by these modules.
        modules: all that have weights or buffers in it.
        inputs: tensors.
        apart: one sample after the other, where the modules allow it: of a large block, the whole batch's feature maps
            in its backward pass are what takes the most memory.
    """
    if _all_kept or not torch.is_grad_enabled():
        return function(*inputs)
    if kernels() is not None:
        # What is shared with other passes is made outside, so that both times it is found and not made.
        for layer in (layer for module in modules for layer in module.modules()):
            if isinstance(layer, ScaledConv):
                layer.share_kernel()

    def once(*some: Tensor) -> Tensor:
        again = _AsBefore(modules)
        found: Tensor = checkpoint(function, *some, use_reentrant=False, context_fn=lambda: (nullcontext(), again))
        return found

    if not apart or any(_mixes(layer) for module in modules for layer in module.modules()):
        return once(*inputs)
    samples = zip(*(torch.split(tensor, 1) for tensor in inputs), strict=True)
    return torch.cat([once(*sample) for sample in samples])
