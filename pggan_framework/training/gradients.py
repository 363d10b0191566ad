"""Gradient processing before an optimiser step: clipping, and skipping of non-finite gradients."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


@dataclass(frozen=True)
class GradientGuard:
    """Clips the gradients of one network by their global norm, and reports whether they are usable.

    Args:
        clip_norm: largest norm of all gradients together; None for any.
        skip_nonfinite: leave out an update with a gradient that is not finite. To know it, the step waits for the
            device.
    """

    clip_norm: float | None = None
    skip_nonfinite: bool = False

    def __call__(self, optimizer: Optimizer) -> tuple[dict[str, Tensor], bool]:
        """Clip the gradients of `optimizer`'s parameters in place.

        Returns:
            What is to be logged: ``gradient``, their norm before, and ``skipped``, 1 for an update left out; and
            whether the update is to be made.
        """
        weights = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if not weights or (self.clip_norm is None and not self.skip_nonfinite):
            return {}, True
        norm = nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None])
        if self.skip_nonfinite and not bool(norm.isfinite()):
            return {"skipped": torch.ones_like(norm)}, False
        if self.clip_norm is not None:
            nn.utils.clip_grads_with_norm_(weights, self.clip_norm, norm)
        return {"gradient": norm, **({"skipped": torch.zeros_like(norm)} if self.skip_nonfinite else {})}, True
