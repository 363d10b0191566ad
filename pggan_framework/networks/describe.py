"""Describe a network's layers as a table, without computing or allocating anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from pggan_framework.networks.base import GeneratorBase, GrowingNetwork

Network = TypeVar("Network", bound=GrowingNetwork)


def meta_copy(network: Network) -> Network:
    """Copy the network to the meta device, which stores shapes without values."""
    memo: dict[int, Any] = {}
    for parameter in network.parameters():
        memo[id(parameter)] = nn.Parameter(torch.empty_like(parameter, device="meta"))
    for buffer in network.buffers():
        memo[id(buffer)] = torch.empty_like(buffer, device="meta")
    return deepcopy(network, memo)


def meta_inputs(network: GrowingNetwork, batch: int) -> tuple[Tensor, Tensor | None]:
    """Create `batch` inputs on the meta device: latents or images, and labels for a conditioned network."""
    space = network.label_space
    labels = None if space is None else torch.empty(space.condition_shape(batch, network.size), device="meta")
    if isinstance(network, GeneratorBase):
        return torch.empty(batch, network.latent_size, device="meta"), labels
    return torch.empty(batch, *network.growth.shape_at(network.depth), device="meta"), labels


def describe(network: GrowingNetwork) -> list[tuple[str, str, int]]:
    """List a row (layer, output shape, parameters) for every layer, including the layers of lower depths.

    The shape is that of one sample, such as ``128x16x16``; the parameters of all rows add up to the network's total.
    """
    copy = meta_copy(network)
    shapes: dict[str, str] = {}
    hooks = []
    for name, module in copy.named_modules():
        if any(True for _ in module.parameters(recurse=False)):

            def keep(_module: nn.Module, _inputs: Any, output: Tensor, name: str = name) -> None:
                shapes.setdefault(name, "x".join(map(str, output.shape[1:])))

            hooks.append(module.register_forward_hook(keep))
    for depth in copy.depths:
        copy.depth = depth
        copy.alpha = 1
        copy(*meta_inputs(copy, 4))
    for hook in hooks:
        hook.remove()
    modules = dict(network.named_modules())
    return [
        (name, shapes.get(name, "unused"), sum(p.numel() for p in modules[name].parameters(recurse=False)))
        for name in modules
        if any(True for _ in modules[name].parameters(recurse=False))
    ]


class Tables(Mapping[str, list[tuple[str, str, int]]]):
    """Tables of several networks. Each is computed on first access, because that takes 0.1 s or more.

    Args:
        networks: the networks by the names of their tables.
    """

    def __init__(self, **networks: GrowingNetwork) -> None:
        self._networks = networks
        self._made: dict[str, list[tuple[str, str, int]]] = {}

    def __getitem__(self, name: str) -> list[tuple[str, str, int]]:
        if name not in self._made:
            self._made[name] = describe(self._networks[name])
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._networks)

    def __len__(self) -> int:
        return len(self._networks)
