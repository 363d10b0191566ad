"""Gradient processing before an optimizer step: clipping, and skipping of non-finite gradients."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


@dataclass(frozen=True)
class GradientGuard:
    """Clips the gradients of one network by their global norm and detects non-finite gradients.

    Args:
        clip_norm: largest global norm of the gradients; None for no limit.
        skip_nonfinite: whether to skip updates with non-finite gradients. The check makes the step wait for the device.
    """

    clip_norm: float | None = None
    skip_nonfinite: bool = False

    def __call__(self, optimizer: Optimizer) -> tuple[dict[str, Tensor], bool]:
        """Clip the gradients of `optimizer`'s parameters in place.

        Returns:
            The values to log (``gradient``, the norm before clipping, and ``skipped``, 1 for a skipped update), and
            True if the update must be applied.
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
