"""Label tricks: soft, noisy and swapped targets of D, for losses that are a binary cross-entropy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pggan_framework.errors import UserError
from pggan_framework.losses.base import Loss


@dataclass
class LabelTricks:
    """Changes of D's targets, 1 for reals and 0 for fakes: smoothing, then noise, then swapping.

    Args:
        smoothing: s of the targets 1 - s for reals and s for fakes.
        noise: range n of the noise U(-n / 2, n / 2) added to each sample's target.
        swap: probability that a sample's target t is replaced by 1 - t.
    """

    smoothing: float = 0.0
    noise: float = 0.0
    swap: float = 0.0

    def real(self, scores: Tensor) -> Tensor:
        """Return targets of reals in the shape of their `scores`, drawn by torch's global generator."""
        return self._changed(torch.full_like(scores, 1 - self.smoothing))

    def fake(self, scores: Tensor) -> Tensor:
        """Return targets of fakes, drawn independently of the targets of reals."""
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
        label_smoothing: smoothing s: D's targets are 1 - s for reals and s for fakes (Salimans et al. 2016, arXiv
            1606.03498).
        label_noise: range n of the noise U(-n/2, n/2) added to the targets, which may then leave the range 0 to 1.
        label_swap: probability that a sample's target is flipped, drawn separately for reals and fakes.

    Raises:
        UserError: if a parameter is outside its limits.
    """

    schedulable: ClassVar[tuple[str, ...]] = ("label_smoothing", "label_noise", "label_swap")

    def __init__(self, label_smoothing: float = 0.0, label_noise: float = 0.0, label_swap: float = 0.0) -> None:
        self.tricks = LabelTricks()
        self.label_smoothing, self.label_noise, self.label_swap = label_smoothing, label_noise, label_swap

    @property
    def label_smoothing(self) -> float:
        """The s of D's targets 1 - s and s."""
        return self.tricks.smoothing

    @label_smoothing.setter
    def label_smoothing(self, value: float) -> None:
        self.tricks.smoothing = self._below_half("label_smoothing", value)

    @property
    def label_noise(self) -> float:
        """The range n of the noise on targets."""
        return self.tricks.noise

    @label_noise.setter
    def label_noise(self, value: float) -> None:
        if not 0 <= value <= 1:
            raise UserError(f"{type(self).__name__}.label_noise {value} is not allowed; allowed: 0 (off) to 1")
        self.tricks.noise = value

    @property
    def label_swap(self) -> float:
        """Probability that a target is flipped."""
        return self.tricks.swap

    @label_swap.setter
    def label_swap(self, value: float) -> None:
        self.tricks.swap = self._below_half("label_swap", value)

    def _below_half(self, flag: str, value: float) -> float:
        if not 0 <= value < 0.5:
            raise UserError(f"{type(self).__name__}.{flag} {value} is not allowed; allowed: 0 (off) and up, below 0.5")
        return value
