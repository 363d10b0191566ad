"""A differentiable optimizer step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from pggan_framework.errors import UserError

_TINY = 1e-30
"""Keeps the derivative of the root finite at zero gradients; far below the square of any usual epsilon."""


class FunctionalAdam:
    """Computes the next steps of Adam without changing it or its parameters.

    Args:
        optimizer: Adam optimizer.
        parameters: parameters of the optimizer by name.

    Raises:
        UserError: if the optimizer is not Adam.
    """

    def __init__(self, optimizer: Optimizer, parameters: Mapping[str, nn.Parameter]) -> None:
        groups = {parameter: group for group in optimizer.param_groups for parameter in group["params"]}
        odd = any(group.get("amsgrad") or group.get("maximize") for group in optimizer.param_groups)
        if not isinstance(optimizer, Adam) or odd:
            raise UserError(f"UnrolledD takes steps as Adam does, but D is trained by {type(optimizer).__name__}")
        self._groups = {name: groups[parameter] for name, parameter in parameters.items()}
        states = {name: optimizer.state.get(parameter, {}) for name, parameter in parameters.items()}
        self._moments: dict[str, tuple[Tensor, Tensor, Tensor]] = {
            name: (state["step"].to(parameters[name]), state["exp_avg"], state["exp_avg_sq"])
            for name, state in states.items()
            if state
        }

    def step(self, weights: Mapping[str, Tensor], gradients: Sequence[Tensor | None]) -> dict[str, Tensor]:
        """Compute the weights after one step, differentiable with respect to `weights` and `gradients`.

        Args:
            weights: weights by name.
            gradients: gradient of each weight; None leaves the weight unchanged.
        """
        pairs = zip(weights.items(), gradients, strict=True)
        return {name: w if g is None else self._moved(name, w, g) for (name, w), g in pairs}

    def _moved(self, name: str, weight: Tensor, gradient: Tensor) -> Tensor:
        group = self._groups[name]
        (beta1, beta2), decay, lr = group["betas"], group["weight_decay"], group["lr"]
        if decay and group.get("decoupled_weight_decay"):
            weight = weight * (1 - lr * decay)
        elif decay:
            gradient = gradient + decay * weight
        zero = torch.zeros_like(weight)
        count, mean, square = self._moments.get(name, (zero.new_zeros(()), zero, zero))
        count = count + 1
        mean = beta1 * mean + (1 - beta1) * gradient
        square = beta2 * square + (1 - beta2) * gradient.square()
        self._moments[name] = count, mean, square
        root = (square / (1 - beta2**count) + _TINY).sqrt() + group["eps"]
        moved: Tensor = weight - lr * mean / (1 - beta1**count) / root
        return moved
