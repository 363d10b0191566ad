"""What most terms of D begin with: its scores of reals and of fakes."""

from __future__ import annotations

from torch import Tensor

from pggan_framework.losses.context import StepContext


def logged_scores(context: StepContext) -> tuple[Tensor, Tensor]:
    """D's scores [N] of the reals and of the fakes; logs their means as ``D_real`` and ``D_fake``."""
    real, fake = context.real_verdict.scores, context.fake_verdict.scores
    context.log("D_real", real.mean())
    context.log("D_fake", fake.mean())
    return real, fake
