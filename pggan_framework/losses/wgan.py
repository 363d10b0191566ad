"""The Wasserstein loss with gradient penalty and drift."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pggan_framework.errors import UserError
from pggan_framework.losses.base import Loss, StepContext, Term
from pggan_framework.losses.gradient_penalties import GradientPenalty
from pggan_framework.losses.score_penalties import Drift
from pggan_framework.losses.scores import logged_scores
from pggan_framework.registry import register


class CriticTerm(Term):
    """``mean(D(fake)) - mean(D(real))``; logs the two means as ``D_fake`` and ``D_real``."""

    name = "D_wasserstein"
    side = "D"

    def __call__(self, context: StepContext) -> Tensor:
        """The scalar difference."""
        real, fake = logged_scores(context)
        return fake.mean() - real.mean()


class ActorTerm(Term):
    """``-mean(D(fake))``."""

    name = "G_wasserstein"
    side = "G"

    def __call__(self, context: StepContext) -> Tensor:
        """The scalar negative mean."""
        return -context.fake_verdict.scores.mean()


@register("loss")
class WGANGP(Loss):
    """Wasserstein loss with gradient penalty (Gulrajani et al. 2017, arXiv 1704.00028) and drift.

    Args:
        iwass_lambda: weight of the gradient penalty.
        iwass_epsilon: weight of the drift penalty, which holds scores of reals near zero.
        iwass_target: the gradient norm the penalty draws D to.
    """

    def __init__(self, iwass_lambda: float = 10.0, iwass_epsilon: float = 0.001, iwass_target: float = 1.0) -> None:
        for name, value in (("iwass_lambda", iwass_lambda), ("iwass_epsilon", iwass_epsilon)):
            if value < 0:
                raise UserError(f"WGANGP.{name} {value} is below 0; allowed: 0 (off) and above")
        if not iwass_target > 0:
            raise UserError(f"WGANGP.iwass_target {iwass_target} is not above 0")
        terms: list[Term] = [CriticTerm(), ActorTerm()]
        if iwass_lambda > 0:
            terms.append(GradientPenalty(iwass_lambda, iwass_target))
        if iwass_epsilon > 0:
            terms.append(Drift(iwass_epsilon))
        self._terms = tuple(terms)

    @property
    def terms(self) -> Sequence[Term]:
        """Critic, generator, gradient penalty, drift."""
        return self._terms
