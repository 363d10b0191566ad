"""Normalizations of feature maps and weights."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pggan_framework.networks.functional import full_precision

FeatureNorm = Literal["none", "batch", "instance", "layer"]
"""The axes of mean and variance; see `Norm`."""

BlockNorm = Literal["none", "batch", "instance", "layer", "local_response"]
"""The same, or `LocalResponseNorm`."""

EPSILON = 1e-5
"""Added to variances, as in PyTorch's layers."""


class Norm(nn.Module):
    """Normalizes feature maps to mean 0 and variance 1, then scales and shifts each channel by its own weights.

    Mean and variance are computed per channel over the batch (``batch``, Ioffe and Szegedy 2015, arXiv 1502.03167), per
    sample and channel (``instance``, arXiv 1607.08022), or per sample (``layer``, arXiv 1607.06450).

    Args:
        kind: batch, instance or layer.
        channels: C of the input [N, C, h, w].
        running: with ``batch``, average the mean and variance during training and use these averages in eval mode; else
            use
            the batch statistics in both modes.
    """

    running_mean: Tensor | None
    running_var: Tensor | None

    def __init__(self, kind: Literal["batch", "instance", "layer"], channels: int, running: bool = False) -> None:
        super().__init__()
        self.kind = kind
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        averaged = running and kind == "batch"
        self.register_buffer("running_mean", torch.zeros(channels) if averaged else None)
        self.register_buffer("running_var", torch.ones(channels) if averaged else None)

    def forward(self, x: Tensor, parts: int = 1) -> Tensor:
        """[N, C, h, w] -> [N, C, h, w].

        Args:
            x: feature maps, [N, C, h, w].
            parts: number of equal batches in `x`, which are normalized separately; must be 1 with averages.
        """
        if self.kind == "layer":
            return F.group_norm(x, 1, self.weight, self.bias)
        if self.kind == "instance":
            return F.group_norm(x, x.shape[1], self.weight, self.bias)
        if self.running_mean is not None:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, self.training)
        normed = [self._of_batch(part) for part in x.chunk(parts)]
        return normed[0] if parts == 1 else torch.cat(normed)

    def _of_batch(self, x: Tensor) -> Tensor:
        """Compute batch norm in basic operations; PyTorch's lacks the third derivative that unrolled D needs."""
        variance, mean = torch.var_mean(x, (0, 2, 3), correction=0, keepdim=True)
        scale = self.weight.view(-1, 1, 1) * torch.rsqrt(variance + EPSILON)
        return (x - mean) * scale + self.bias.view(-1, 1, 1)


class LocalResponseNorm(nn.Module):
    """Divides each value by a power of its neighbours' squares (Krizhevsky et al. 2012, AlexNet, section 3.3).

    The result is ``x_c / (1 + 0.0001 * sum(x_k ** 2)) ** 0.75`` over the five channels k nearest to c, at each position
    separately. The paper uses 2 in place of 1, which would shrink all features; with 1, only large ones are reduced.
    The layer has no weights.
    """

    reach = 2
    scale, power = 1e-4, 0.75

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, h, w] -> [N, C, h, w]."""
        channels = x.shape[1]
        squares = F.pad(x.square(), (0, 0, 0, 0, self.reach, self.reach))
        total = squares[:, :channels]
        for first in range(1, 2 * self.reach + 1):
            total = total + squares[:, first : first + channels]
        return x * (1 + self.scale * total) ** -self.power


class SpectralNorm(nn.Module):
    """Divides a weight by its largest singular value (Miyato et al. 2018, arXiv 1802.05957).

    The largest singular value is estimated by one step of power iteration in each pass in training mode.

    Args:
        rows: number of rows of the weight as a matrix, which is the number of outputs.
    """

    direction: Tensor

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.register_buffer("direction", F.normalize(torch.randn(rows), dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        """Scale a weight [rows, ...], outputs first, so that its largest singular value is about 1."""
        with full_precision(weight):
            matrix = weight.flatten(1)
            with torch.no_grad():
                right = F.normalize(self.direction @ matrix, dim=0)
                left = F.normalize(matrix @ right, dim=0)
                if self.training:
                    self.direction.copy_(left)
            return weight / (left @ matrix @ right)
