"""Networks that compute with given tensors, and kernels that are scaled and folded once for all passes of an update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from pggan_framework.networks.base import GrowingNetwork
from pggan_framework.networks.layers import ScaledConv
from pggan_framework.networks.torch_private import multiplied, shallow_copy

M = TypeVar("M", bound=nn.Module)
N = TypeVar("N", bound=GrowingNetwork)


def with_tensors(module: M, tensors: Mapping[str, Tensor]) -> M:
    """The same network with other weights and buffers; `module` and its own tensors stay as they are.

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
    operations: they are done once, and those of all layers together. The kernels are leaves of the graph while the
    update is differentiated; `backward` hands their gradients on to the weights.

    Kernels divided by their spectral norm are not among them: the norm's estimate takes a step in every pass.

    Args:
        network: whose kernels they are; it is not changed.
        leaves: whether gradients stop at the kernels until `backward`; else they flow on to the weights.
    """

    network: N
    """Computes with the kernels."""

    def __init__(self, network: N, leaves: bool = True) -> None:
        layers = [layer for layer in network.used() if isinstance(layer, ScaledConv) and layer.spectral is None]
        self._layers, self._scaled, self._folded = layers, list[Tensor](), list[Tensor]()
        if leaves:
            with torch.no_grad():
                self._scaled = multiplied([layer.weight for layer in layers], [layer.scale for layer in layers])
            for layer, scaled in zip(layers, self._scaled, strict=True):
                scaled.requires_grad_(layer.weight.requires_grad)
            self._folded = [layer.with_resize(scaled) for layer, scaled in zip(layers, self._scaled, strict=True)]
            self._kernels = [k.detach().requires_grad_() if k.grad_fn is not None else k for k in self._folded]
        else:
            self._kernels = [layer.folded() for layer in layers]
        kernels = zip(layers, self._kernels, strict=True)
        self.network = shallow_copy(network, {layer: {"kernel": kernel} for layer, kernel in kernels})

    def backward(self) -> None:
        """Add to the weights' gradients those that have come to the kernels."""
        pairs = zip(self._folded, self._kernels, strict=True)
        resized = [(folded, leaf.grad) for folded, leaf in pairs if leaf is not folded and leaf.grad is not None]
        if resized:
            torch.autograd.backward(*zip(*resized, strict=True))  # type: ignore[arg-type]
        both = [(layer, s.grad) for layer, s in zip(self._layers, self._scaled, strict=True) if s.grad is not None]
        gradients = multiplied([gradient for _, gradient in both], [layer.scale for layer, _ in both])
        for (layer, _), gradient in zip(both, gradients, strict=True):
            layer.weight.grad = gradient if layer.weight.grad is None else layer.weight.grad.add_(gradient)
        self._layers, self._scaled, self._folded, self._kernels = [], [], [], []
