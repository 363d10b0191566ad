"""Networks that compute with given tensors, and kernels that are scaled and folded once for all passes of an update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from pggan_framework.networks.base import GrowingNetwork
from pggan_framework.networks.layers import ScaledConv
from pggan_framework.networks.torch_private import shallow_copy

M = TypeVar("M", bound=nn.Module)
N = TypeVar("N", bound=GrowingNetwork)


def with_tensors(module: M, tensors: Mapping[str, Tensor]) -> M:
    """The same network with other weights and buffers; `module` and its own tensors stay unchanged.

    Args:
        module: a network or a part of one.
        tensors: by the names of `named_parameters` and `named_buffers`; those that are not in it are shared.
    """
    changes: dict[nn.Module, dict[str, Tensor]] = {}
    for path, tensor in tensors.items():
        place, _, name = path.rpartition(".")
        changes.setdefault(module.get_submodule(place), {})[name] = tensor
    return shallow_copy(module, changes)


class Folding(Generic[N]):
    """A network whose kernels are scaled and folded once, for all passes of one update.

    Each layer computes ``kernel = fold(scale * weight)`` (equalised learning rate, Karras et al. 2018, section 4.1).
    D is passed through two or three times in its update, and the gradients of all passes go through these small
    operations: they are done once. The kernels are leaves of the graph while the update is differentiated; `backward`
    hands their gradients on to the weights.

    Kernels divided by their spectral norm are not among them: the norm's estimate takes a step in every pass.

    Args:
        network: whose kernels they are; it is not changed.
        leaves: whether gradients stop at the kernels until `backward`; else they flow on to the weights.
    """

    network: N
    """Computes with the kernels."""

    def __init__(self, network: N, leaves: bool = True) -> None:
        layers = [layer for layer in network.used() if isinstance(layer, ScaledConv) and layer.spectral is None]
        self._folded = [layer.folded() for layer in layers]
        self._leaves = self._folded
        if leaves:
            self._leaves = [k.detach().requires_grad_() if k.requires_grad else k for k in self._folded]
        kernels = zip(layers, self._leaves, strict=True)
        self.network = shallow_copy(network, {layer: {"kernel": kernel} for layer, kernel in kernels})

    def backward(self) -> None:
        """Add to the weights' gradients those that have come to the kernels."""
        pairs = zip(self._folded, self._leaves, strict=True)
        reached = [(folded, leaf.grad) for folded, leaf in pairs if leaf is not folded and leaf.grad is not None]
        if reached:
            torch.autograd.backward(*zip(*reached, strict=True))  # type: ignore[arg-type]
        self._folded, self._leaves = [], []
