"""Optimizers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar, Literal

import torch
from torch import nn
from torch.optim import Optimizer

from pggan_framework.errors import UserError
from pggan_framework.registry import contract, register
from pggan_framework.training.gradients import GradientGuard


@contract("optimizer")
class OptimizerFactory(ABC):
    """Base class of optimizers. A subclass is registered with ``@register("optimizer")`` and implements `build`."""

    guard: GradientGuard = GradientGuard()
    """Processing of a network's gradients before each update."""

    @abstractmethod
    def build(self, parameters: Iterable[nn.Parameter], lr: float, side: Literal["G", "D"] = "G") -> Optimizer:
        """Build the optimizer of `parameters`; it skips parameters whose gradient is None.

        Args:
            parameters: the parameters of one network.
            lr: the initial learning rate.
            side: the network that they belong to.
        """


@register("optimizer")
class Adam(OptimizerFactory):
    """Adam (Kingma & Ba 2015) with the settings of Karras et al. 2018.

    Args:
        betas: decay rates of the running means of the gradient and its square.
        D_betas: betas of the discriminator, if they differ from `betas`.
        eps: value added to the root of the mean square.
        weight_decay: factor of the weights that are added to the gradient (L2 penalty, as in torch's Adam).
        clip_norm: largest global norm of a network's gradients; larger gradients are scaled down to it.
        skip_nonfinite: whether to skip updates with non-finite gradients instead of ending the run; the fraction of
            skipped updates is logged as ``G_skipped`` and ``D_skipped``. Each step then waits for the device.

    Raises:
        UserError: if a number is outside its limits.
    """

    schedulable: ClassVar[tuple[str, ...]] = ("betas",)

    def __init__(
        self,
        betas: tuple[float, float] = (0.0, 0.99),
        D_betas: tuple[float, float] | None = None,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        skip_nonfinite: bool = False,
    ) -> None:
        for name, pair in (("betas", betas), ("D_betas", D_betas or betas)):
            if not all(0 <= beta < 1 for beta in pair):
                raise UserError(f"Adam.{name} {pair}: each must be at least 0 and below 1")
        self._built: dict[str, list[torch.optim.Adam]] = {"G": [], "D": []}
        if not eps > 0:
            raise UserError(f"Adam.eps {eps} is not above 0")
        if not weight_decay >= 0:
            raise UserError(f"Adam.weight_decay {weight_decay} is not allowed; allowed: 0 (off) and up")
        if clip_norm is not None and not clip_norm > 0:
            raise UserError(f"Adam.clip_norm {clip_norm} is not allowed; allowed: above 0, or None")
        self._betas, self._D_betas, self.eps, self.weight_decay = betas, D_betas, eps, weight_decay
        self.guard = GradientGuard(clip_norm, skip_nonfinite)

    @property
    def betas(self) -> tuple[float, float]:
        """Betas of both networks, or of G if `D_betas` is set; setting them also changes existing optimizers.

        Raises:
            UserError: if a beta is below 0, or 1 or above.
        """
        return self._betas

    @betas.setter
    def betas(self, value: tuple[float, float]) -> None:
        if not all(0 <= beta < 1 for beta in value):
            raise UserError(f"Adam.betas {value}: each must be at least 0 and below 1")
        self._betas = value
        for side, made in self._built.items():
            for group in (group for optimizer in made for group in optimizer.param_groups):
                group["betas"] = value if side == "G" or self._D_betas is None else self._D_betas

    def build(self, parameters: Iterable[nn.Parameter], lr: float, side: Literal["G", "D"] = "G") -> torch.optim.Adam:
        """Build the optimizer of `parameters`, fused if the device supports it for all of them.

        Parameters whose gradient is None (blocks not yet in use) are skipped and have no state.

        Args:
            parameters: the parameters of one network.
            lr: the initial learning rate.
            side: the network that they belong to.
        """
        listed = list(parameters)
        betas = self._D_betas or self._betas if side == "D" else self._betas
        fused = all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in listed)
        made = torch.optim.Adam(listed, lr=lr, betas=betas, eps=self.eps, weight_decay=self.weight_decay, fused=fused)
        made.register_load_state_dict_post_hook(_align)
        self._built[side].append(made)
        return made


def _align(optimizer: Optimizer) -> None:
    """Convert loaded moments to the memory order of their weights.

    A fused optimizer reads weights and moments in memory order; earlier checkpoints store convolutions in a different
    order.
    """
    for weight, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and value.shape == weight.shape and value.stride() != weight.stride():
                state[name] = torch.empty_like(weight, dtype=value.dtype).copy_(value)
