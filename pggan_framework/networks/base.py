"""The small interface all networks share: depth, alpha, shapes, and what a discriminator says of a batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pggan_framework.growth import Growth


@dataclass(frozen=True)
class Verdict:
    """What a discriminator says of a batch.

    Args:
        scores: [N], unbounded, higher for what it takes for real.
        features: [N, F], the penultimate features.
    """

    scores: Tensor
    features: Tensor


class GrowingNetwork(nn.Module):
    """A network that is as deep as `depth` says, its newest block weighted by `alpha`.

    Args:
        growth: the shapes it grows through.
    """

    alpha_value: Tensor

    def __init__(self, growth: Growth) -> None:
        super().__init__()
        self.growth = growth
        self.depth = growth.max_depth
        self.register_buffer("alpha_value", torch.ones(()))

    @property
    def max_depth(self) -> int:
        """Index of the deepest block."""
        return self.growth.max_depth

    @property
    def alpha(self) -> Tensor:
        """Weight of the newest block, a scalar tensor in [0, 1]."""
        return self.alpha_value

    @alpha.setter
    def alpha(self, value: float | Tensor) -> None:
        with torch.no_grad():
            self.alpha_value.fill_(value)
