"""Networks with replaced tensors, and kernels that are scaled and folded once for all passes of an update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from pggan_framework.networks.base import GrowingNetwork
from pggan_framework.networks.layers import ScaledConv
from pggan_framework.networks.torch_private import foreach, parts_of, shallow_copy

M = TypeVar("M", bound=nn.Module)


def with_tensors(module: M, tensors: Mapping[str, Tensor]) -> M:
    """Copy a network with other weights and buffers; `module` and its own tensors stay unchanged.

    Args:
        module: a network or a part of one.
        tensors: replacement tensors, by the names of `named_parameters` and `named_buffers`; all others are shared.
    """
    changes: dict[nn.Module, dict[str, Tensor]] = {}
    for path, tensor in tensors.items():
        place, _, name = path.rpartition(".")
        changes.setdefault(module.get_submodule(place), {})[name] = tensor
    return shallow_copy(module, changes)


class Folding:
    """The kernels of a network, scaled and folded once for all passes of one update.

    Each layer computes ``kernel = fold(scale * weight)`` (equalized learning rate, Karras et al. 2018, section 4.1).
    D's update passes through D two or three times. The kernels of all layers are therefore scaled first, in one call,
    and the gradients of all passes are summed before they reach the weights. The layers use these kernels until `end`.

    Layers with spectral norm are excluded, since the norm's estimate is updated in every pass.

    Args:
        network: the network with the layers.
        trained: whether to compute gradients.
    """

    sources: list[Tensor]
    """The tensors to differentiate by: the kernels and biases made, and all other weights."""

    def __init__(self, network: GrowingNetwork, trained: bool = True) -> None:
        scaled = [layer for layer in network.used() if isinstance(layer, ScaledConv) and layer.folds_once]
        layers = [layer for layer in scaled if layer.spectral is None and not layer.execution.reference]
        # Include biases: the backward pass can detect needed gradients of all tensors except leaves.
        self._made: list[tuple[Tensor, Tensor, float]] = []
        pairs = [(layer.weight, layer.bias) for layer in layers]
        with torch.set_grad_enabled(trained):
            for layer, (weight, bias) in zip(layers, pairs, strict=True):
                self._made.append((weight, layer.with_resize(weight) if layer.resized else weight, layer.scale))
                self._made += [] if bias is None else [(bias, bias, 1.0)]
            kernels = foreach("mul", [folded for _, folded, _ in self._made], [factor for _, _, factor in self._made])
        sources = {id(parameter): kernel for (parameter, _, _), kernel in zip(self._made, kernels, strict=True)}
        self._layers = layers
        for layer, (weight, bias) in zip(layers, pairs, strict=True):
            layer.__dict__["made"] = sources[id(weight)], sources.get(id(bias))
        everything = parts_of([network]) if trained else []
        own = dict.fromkeys([p for module in everything for p in module._parameters.values()])
        self._parameters = [p for p in own if p is not None and p.requires_grad]
        self.sources = [sources.get(id(parameter), parameter) for parameter in self._parameters]

    def end(self) -> None:
        """Let the layers scale and fold their weights themselves again."""
        for layer in self._layers:
            del layer.__dict__["made"]

    def backward(self, gradients: Sequence[Sequence[Tensor | None]]) -> None:
        """Add summed gradients of `sources` to the gradients of the network's weights, through scales and resizes."""
        found = {id(p): g for p, g in zip(self._parameters, gradients[0], strict=True) if g is not None}
        for others in gradients[1:]:
            new = {id(p): g for p, g in zip(self._parameters, others, strict=True) if g is not None}
            both = [key for key in new if key in found]
            sums = foreach("add", [found[key] for key in both], [new[key] for key in both])
            found.update({**new, **dict(zip(both, sums, strict=True))})
        made = [entry for entry in self._made if id(entry[0]) in found]
        scaled = foreach("mul", [found[id(weight)] for weight, _, _ in made], [factor for _, _, factor in made])
        found.update({id(weight): gradient for (weight, _, _), gradient in zip(made, scaled, strict=True)})
        resized = [(weight, folded, found[id(weight)]) for weight, folded, _ in made if folded is not weight]
        if resized:
            weights, kernels, outer = zip(*resized, strict=True)
            found.update(zip(map(id, weights), torch.autograd.grad(kernels, weights, outer), strict=True))
        owners: set[int] = set()
        for weight in self._parameters:
            gradient = found.get(id(weight))
            if gradient is None:
                continue
            if weight.grad is not None:
                weight.grad.add_(gradient)
            elif gradient.stride() == weight.stride() and id(gradient) not in owners:
                weight.grad = gradient
                owners.add(id(gradient))
            else:  # a fused optimizer reads both in memory order
                weight.grad = torch.empty_like(weight).copy_(gradient)
