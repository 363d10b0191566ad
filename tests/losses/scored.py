"""Networks whose scores a test sets: those of reals are the reals, those of fakes the latents."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from pggan_framework.losses import Loss, StepContext
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase, Verdict
from pggan_framework.schedules.growth import Growth

PIXEL = Growth(1, (1, 1), ())


class Scale(GeneratorBase):
    """G(z) = z * weight, with a weight of 1."""

    def __init__(self) -> None:
        super().__init__(PIXEL, 1)
        self.weight = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, latents: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        return (latents * self.weight.to(latents.dtype)).view(-1, 1, 1, 1)


class Pixel(DiscriminatorBase):
    """D(x) = x * weight, with a weight of 1."""

    def __init__(self) -> None:
        super().__init__(PIXEL)
        self.weight = nn.Parameter(torch.ones((), dtype=torch.float64))

    def judge(self, images: torch.Tensor, labels: torch.Tensor | None = None, parts: int = 1) -> Verdict:
        scores = (images * self.weight.to(images.dtype)).flatten()
        return Verdict(scores, images.flatten(1))


def context(side: str, real: object, fake: object, dtype: torch.dtype = torch.float64) -> StepContext:
    """The context of an update in which D gives these scores."""
    reals = torch.as_tensor(np.asarray(real), dtype=dtype).view(-1, 1, 1, 1)
    latents = torch.as_tensor(np.asarray(fake), dtype=dtype).view(-1, 1)
    return StepContext(side, Scale(), Pixel(), latents, reals)  # type: ignore[arg-type]


def total(loss: Loss, side: str, real: object, fake: object) -> float:
    """The loss of one network at these scores."""
    return float(loss.total(context(side, real, fake)).detach())
