"""Label tricks: targets of D that are less than sure, for losses that are a binary cross-entropy."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pggan_framework.errors import UserError
from pggan_framework.losses.base import Loss


@dataclass(frozen=True)
class LabelTricks:
    """What D's targets, 1 for reals and 0 for fakes, are changed to: smoothed, then noisy, then some swapped.

    Args:
        smoothing: s of the targets 1 - s and s.
        noise: n of the noise U(-n / 2, n / 2) added to each sample's target.
        swap: probability that a sample's target t is 1 - t.
    """

    smoothing: float = 0.0
    noise: float = 0.0
    swap: float = 0.0

    def real(self, scores: Tensor) -> Tensor:
        """Targets of reals, of the shape of their `scores`, drawn by torch's global generator."""
        return self._changed(torch.full_like(scores, 1 - self.smoothing))

    def fake(self, scores: Tensor) -> Tensor:
        """Targets of fakes, drawn apart from those of the reals."""
        return self._changed(torch.full_like(scores, self.smoothing))

    def _changed(self, targets: Tensor) -> Tensor:
        if self.noise > 0:
            targets = targets + self.noise * (torch.rand_like(targets) - 0.5)
        if self.swap > 0:
            targets = torch.where(torch.rand_like(targets) < self.swap, 1 - targets, targets)
        return targets


class BinaryLoss(Loss):
    """Base of the losses in which D's target is 1 for reals and 0 for fakes.

    Args:
        label_smoothing: s of D's targets 1 - s for reals and s for fakes (Salimans et al. 2016, arXiv 1606.03498).
        label_noise: n of the noise U(-n/2, n/2) added to each sample's target; a target may then lie outside 0 to 1.
        label_swap: probability that a sample's target is turned round, drawn for reals and for fakes apart.

    Raises:
        UserError: if one is outside its limits.
    """

    def __init__(self, label_smoothing: float = 0.0, label_noise: float = 0.0, label_swap: float = 0.0) -> None:
        name = type(self).__name__
        for flag, value in (("label_smoothing", label_smoothing), ("label_swap", label_swap)):
            if not 0 <= value < 0.5:
                raise UserError(f"{name}.{flag} {value} is not allowed; allowed: 0 (off) and up, below 0.5")
        if not 0 <= label_noise <= 1:
            raise UserError(f"{name}.label_noise {label_noise} is not allowed; allowed: 0 (off) to 1")
        self.tricks = LabelTricks(label_smoothing, label_noise, label_swap)
