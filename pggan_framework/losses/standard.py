"""The standard loss, in its non-saturating form for G."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.functional import logsigmoid

from pggan_framework.losses.base import Term, logged_scores
from pggan_framework.losses.context import StepContext
from pggan_framework.losses.label_tricks import BinaryLoss, LabelTricks
from pggan_framework.registry import register


class StandardD(Term):
    """``BCE(D(real), t_real) + BCE(D(fake), t_fake)``.

    Args:
        tricks: changes of D's targets.
    """

    name = "D_standard"
    side = "D"
    needs = ("real_verdict", "fake_verdict")

    def __init__(self, tricks: LabelTricks) -> None:
        self.tricks = tricks

    def __call__(self, context: StepContext) -> Tensor:
        """Compute the scalar sum of both means."""
        real, fake = logged_scores(context)
        return cross_entropy(real, self.tricks.real(real)) + cross_entropy(fake, self.tricks.fake(fake))


class StandardG(Term):
    """``BCE(D(fake), 1)``, which is ``-mean(log(sigmoid(D(fake))))``."""

    name = "G_standard"
    side = "G"
    needs = ("fake_verdict",)

    def __call__(self, context: StepContext) -> Tensor:
        """Compute the scalar mean."""
        return -logsigmoid(context.fake_verdict.scores).mean()


@register("loss")
class StandardGAN(BinaryLoss):
    """Binary cross-entropy, non-saturating for G (Goodfellow et al. 2014, arXiv 1406.2661).

    D's targets can be smoothed, noisy or swapped; G's target is always 1.
    """

    @property
    def terms(self) -> Sequence[Term]:
        """D's term and G's term."""
        return StandardD(self.tricks), StandardG()
