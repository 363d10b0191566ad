"""The Wasserstein loss with gradient penalty and drift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypeVar

from torch import Tensor

from pggan_framework.errors import UserError
from pggan_framework.losses.base import Loss, Term
from pggan_framework.losses.context import StepContext
from pggan_framework.losses.gradient_penalties import GradientPenalty
from pggan_framework.losses.score_penalties import Drift
from pggan_framework.registry import register

Present = TypeVar("Present", bound=Term)


class CriticTerm(Term):
    """``mean(D(fake)) - mean(D(real))``; logs the two means as ``D_fake`` and ``D_real``."""

    name = "D_wasserstein"
    side = "D"
    needs = ("real_verdict", "fake_verdict")

    def __call__(self, context: StepContext) -> Tensor:
        """Compute the scalar difference."""
        real, fake = context.real_verdict.scores.mean(), context.fake_verdict.scores.mean()
        context.log("D_real", real)
        context.log("D_fake", fake)
        return fake - real


class ActorTerm(Term):
    """``-mean(D(fake))``."""

    name = "G_wasserstein"
    side = "G"
    needs = ("fake_verdict",)

    def __call__(self, context: StepContext) -> Tensor:
        """Compute the scalar negative mean."""
        return -context.fake_verdict.scores.mean()


@register("loss")
class WGANGP(Loss):
    """Wasserstein loss with gradient penalty (Gulrajani et al. 2017, arXiv 1704.00028) and drift.

    Args:
        iwass_lambda: weight of the gradient penalty.
        iwass_epsilon: weight of the drift penalty, which keeps scores of reals near zero.
        iwass_target: target gradient norm of the penalty.
    """

    schedulable: ClassVar[tuple[str, ...]] = ("iwass_lambda", "iwass_epsilon", "iwass_target")

    def __init__(self, iwass_lambda: float = 10.0, iwass_epsilon: float = 0.001, iwass_target: float = 1.0) -> None:
        for name, value in (("iwass_lambda", iwass_lambda), ("iwass_epsilon", iwass_epsilon)):
            if value < 0:
                raise UserError(f"WGANGP.{name} {value} is below 0; allowed: 0 (off) and above")
        if not iwass_target > 0:
            raise UserError(f"WGANGP.iwass_target {iwass_target} is not above 0")
        self._penalty = GradientPenalty(iwass_lambda, iwass_target) if iwass_lambda > 0 else None
        self._drift = Drift(iwass_epsilon) if iwass_epsilon > 0 else None
        self._terms = tuple(term for term in (CriticTerm(), ActorTerm(), self._penalty, self._drift) if term)

    @property
    def terms(self) -> Sequence[Term]:
        """Critic, generator, gradient penalty and drift terms."""
        return self._terms

    @property
    def iwass_lambda(self) -> float:
        """Weight of the gradient penalty.

        Raises:
            UserError: if it is set although it was 0 at first, in which case there is no penalty.
        """
        return self._penalty.weight if self._penalty else 0.0

    @iwass_lambda.setter
    def iwass_lambda(self, value: float) -> None:
        self._present("iwass_lambda", self._penalty).weight = value

    @property
    def iwass_epsilon(self) -> float:
        """Weight of the drift penalty; see `iwass_lambda`."""
        return self._drift.weight if self._drift else 0.0

    @iwass_epsilon.setter
    def iwass_epsilon(self, value: float) -> None:
        self._present("iwass_epsilon", self._drift).weight = value

    @property
    def iwass_target(self) -> float:
        """Target gradient norm of the penalty."""
        return self._penalty.target if self._penalty else 1.0

    @iwass_target.setter
    def iwass_target(self, value: float) -> None:
        if not value > 0:
            raise UserError(f"WGANGP.iwass_target {value} is not above 0")
        self._present("iwass_lambda", self._penalty).target = value

    @staticmethod
    def _present(flag: str, term: Present | None) -> Present:
        if term is None:
            raise UserError(f"WGANGP.{flag} is 0, so a table cannot change it; allowed: above 0, with 0 in the table")
        return term
