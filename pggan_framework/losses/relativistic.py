"""The relativistic losses: D estimates how much more real a real is than a fake (Jolicoeur-Martineau 2018)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.functional import logsigmoid

from pggan_framework.losses.base import Term, logged_scores
from pggan_framework.losses.context import StepContext
from pggan_framework.losses.label_tricks import BinaryLoss, LabelTricks
from pggan_framework.registry import register


class RelativisticD(Term):
    """``BCE(D(real) - D(fake), t_real)``, where each real is paired with one fake.

    Args:
        tricks: changes of D's targets.
    """

    name = "D_relativistic"
    side = "D"
    needs = ("real_verdict", "fake_verdict")

    def __init__(self, tricks: LabelTricks) -> None:
        self.tricks = tricks

    def __call__(self, context: StepContext) -> Tensor:
        """Compute the scalar mean over the pairs."""
        real, fake = logged_scores(context)
        return cross_entropy(real - fake, self.tricks.real(real))


class RelativisticG(Term):
    """``BCE(D(fake) - D(real), 1)``, which is ``-mean(log(sigmoid(D(fake) - D(real))))``."""

    name = "G_relativistic"
    side = "G"
    needs = ("real_verdict", "fake_verdict")

    def __call__(self, context: StepContext) -> Tensor:
        """Compute the scalar mean over the pairs."""
        return -logsigmoid(context.fake_verdict.scores - context.real_verdict.scores).mean()


class AverageD(Term):
    """``(BCE(D(real) - mean(D(fake)), t_real) + BCE(D(fake) - mean(D(real)), t_fake)) / 2``.

    Args:
        tricks: changes of D's targets.
    """

    name = "D_relativistic_average"
    side = "D"
    needs = ("real_verdict", "fake_verdict")
    compares = True

    def __init__(self, tricks: LabelTricks) -> None:
        self.tricks = tricks

    def __call__(self, context: StepContext) -> Tensor:
        """Compute the scalar mean of both parts."""
        real, fake = logged_scores(context)
        reals = cross_entropy(real - fake.mean(), self.tricks.real(real))
        fakes = cross_entropy(fake - real.mean(), self.tricks.fake(fake))
        return (reals + fakes) / 2


class AverageG(Term):
    """``(BCE(D(fake) - mean(D(real)), 1) + BCE(D(real) - mean(D(fake)), 0)) / 2``."""

    name = "G_relativistic_average"
    side = "G"
    needs = ("real_verdict", "fake_verdict")
    compares = True

    def __call__(self, context: StepContext) -> Tensor:
        """Compute the scalar mean of both parts."""
        real, fake = context.real_verdict.scores, context.fake_verdict.scores
        return -(logsigmoid(fake - real.mean()).mean() + logsigmoid(fake.mean() - real).mean()) / 2


@register("loss")
class RelativisticGAN(BinaryLoss):
    """Relativistic loss over pairs of a real and a fake (Jolicoeur-Martineau 2018, arXiv 1807.00734).

    D's target can be smoothed, noisy or swapped; G's target is always 1. G uses the reals of D's last update.
    """

    @property
    def terms(self) -> Sequence[Term]:
        """D's term and G's term."""
        return RelativisticD(self.tricks), RelativisticG()


@register("loss")
class RelativisticAverageGAN(BinaryLoss):
    """Relativistic loss against the mean score of the opposite kind (Jolicoeur-Martineau 2018, arXiv 1807.00734).

    D's targets can be smoothed, noisy or swapped; G's targets are always 1 for fakes and 0 for reals. G uses the reals
    of D's last update.
    """

    @property
    def terms(self) -> Sequence[Term]:
        """D's term and G's term."""
        return AverageD(self.tricks), AverageG()
