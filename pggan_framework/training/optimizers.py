"""Optimisers."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from pggan_framework.errors import UserError
from pggan_framework.registry import register


@register("optimizer")
class Adam:
    """Adam (Kingma & Ba 2015) with the settings of Karras et al. 2018.

    Args:
        betas: decay of the mean and of the squared mean of the gradient.
        eps: added to the root of the squared mean.
    """

    def __init__(self, betas: tuple[float, float] = (0.0, 0.99), eps: float = 1e-8) -> None:
        if not all(0 <= beta < 1 for beta in betas):
            raise UserError(f"Adam.betas {betas}: each must be at least 0 and below 1")
        if not eps > 0:
            raise UserError(f"Adam.eps {eps} is not above 0")
        self.betas, self.eps = betas, eps

    def build(self, parameters: Iterable[nn.Parameter], lr: float) -> torch.optim.Adam:
        """The optimiser of `parameters`, fused where all of them lie on a device that has it.

        A parameter whose gradient is None (a block not yet in use) is left alone and has no state.
        """
        listed = list(parameters)
        fused = all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in listed)
        return torch.optim.Adam(listed, lr=lr, betas=self.betas, eps=self.eps, fused=fused)
