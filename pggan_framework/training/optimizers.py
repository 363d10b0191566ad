"""Optimisers."""

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
    """Base of optimisers. A subclass is registered with ``@register("optimizer")`` and gives `build`."""

    guard: GradientGuard = GradientGuard()
    """What is done with the gradients of a network before each of its updates."""

    @abstractmethod
    def build(self, parameters: Iterable[nn.Parameter], lr: float, side: Literal["G", "D"] = "G") -> Optimizer:
        """The optimiser of `parameters`, which leaves a parameter alone whose gradient is None.

        Args:
            parameters: of one network.
            lr: the learning rate until another one is set.
            side: whose they are.
        """


@register("optimizer")
class Adam(OptimizerFactory):
    """Adam (Kingma & Ba 2015) with the settings of Karras et al. 2018.

    Args:
        betas: decay of the mean and of the squared mean of the gradient.
        D_betas: the discriminator's, where they are others.
        eps: added to the root of the squared mean.
        weight_decay: weights times this are added to the gradient (an L2 penalty, as torch's Adam has it).
        clip_norm: largest norm of a network's gradients together; larger ones are scaled down to it.
        skip_nonfinite: leave out an update with a gradient that is not finite, rather than end the run; the fraction of
            them is logged as ``G_skipped`` and ``D_skipped``. Each step then waits for the device.

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
        """Both networks', or the generator's where the discriminator's are others; changed, in optimisers made too.

        Raises:
            UserError: if one is set to what is not at least 0 and below 1.
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
        """The optimiser of `parameters`, fused where all of them are on a device that has it.

        A parameter whose gradient is None (a block not yet in use) is left alone and has no state.

        Args:
            parameters: of one network.
            lr: the learning rate until another one is set.
            side: whose they are.
        """
        listed = list(parameters)
        betas = self._D_betas or self._betas if side == "D" else self._betas
        fused = all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in listed)
        made = torch.optim.Adam(listed, lr=lr, betas=betas, eps=self.eps, weight_decay=self.weight_decay, fused=fused)
        made.register_load_state_dict_post_hook(_align)
        self._built[side].append(made)
        return made


def _align(optimizer: Optimizer) -> None:
    """Store loaded moments in the memory order of their weights.

    A fused optimizer reads weights and moments in memory order, and earlier checkpoints have convolutions in another.
    """
    for weight, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and value.shape == weight.shape and value.stride() != weight.stride():
                state[name] = torch.empty_like(weight, dtype=value.dtype).copy_(value)
