"""The base class of losses: a sum of terms, each a batch mean computed from the context of one update."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any, ClassVar, cast

from torch import Tensor

from pggan_framework.losses.context import POINTS, Need, Side, StepContext
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase
from pggan_framework.registry import contract

OF_FAKES = frozenset({"fakes", "fake_verdict", "fake_gradients"})
"""Needs that require no reals."""


class Term(ABC):
    """One summand of a loss.

    Attributes:
        name: name of the term in the logs.
        side: network that the term trains.
        weight: factor of the term.
        needs: names of the context's attributes that the term uses; None: D's scores, and any attribute on access.
        needs_reals: whether a term of G without declared `needs` also uses reals; a term of D always may.
        compares: whether it compares the samples of a batch, so that the value of a batch is not the mean over its
            halves.
    """

    name: ClassVar[str]
    side: ClassVar[Side]
    weight: float = 1.0
    needs: Sequence[Need] | None = None
    needs_reals: ClassVar[bool] = False
    compares: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, context: StepContext) -> Tensor:
        """Compute the scalar mean over the batch, without the weight."""

    @property
    def all_needs(self) -> Sequence[Need]:
        """The context entries to compute before the term is called."""
        if self.needs is not None:
            return self.needs
        return ("real_verdict", "fake_verdict") if self.side == "D" or self.needs_reals else ("fake_verdict",)

    def weight_in(self, context: StepContext) -> float:
        """Return the weight in this update; a term of weight 0 is not computed."""
        return self.weight

    def check(self, G: GeneratorBase, D: DiscriminatorBase) -> None:  # noqa: B027  -- most terms suit all networks
        """Check that the term supports these networks; called once, before training.

        Raises:
            UserError: if it does not support them.
        """

    def after_update(self, context: StepContext) -> None:  # noqa: B027  -- most terms keep nothing
        """Observe the update that just used `context`, for terms with state.

        The context's statistics are those of the whole batch, however it was divided.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return the state to store for an exact resume: plain values and tensors."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027
        """Restore the state of `state_dict`."""


@contract("loss")
class Loss(ABC):
    """A sum of terms. A subclass is registered with ``@register("loss")`` and defines `terms`."""

    @property
    @abstractmethod
    def terms(self) -> Sequence[Term]:
        """All terms of both networks."""

    def __add__(self, terms: Sequence[Term]) -> Loss:
        """Return this loss with additional terms."""
        return Sum([*self.terms, *terms])

    @property
    def needs_reals_for_G(self) -> bool:
        """True if G's update needs the reals of D's last update."""
        of_G = [term for term in self.terms if term.side == "G"]
        return any(term.needs_reals or not OF_FAKES.issuperset(term.all_needs) for term in of_G)

    def check(self, G: GeneratorBase, D: DiscriminatorBase) -> None:
        """Check that every term supports these networks.

        Raises:
            UserError: if one does not.
        """
        for term in self.terms:
            term.check(G, D)

    def after_update(self, context: StepContext) -> None:
        """Notify the terms of the network that was just updated."""
        for term in self.terms:
            if term.side == context.side:
                term.after_update(context)

    def state_dict(self) -> dict[str, Any]:
        """Return the states of all terms that have one, by name."""
        states = {term.name: term.state_dict() for term in self.terms}
        return {name: state for name, state in states.items() if state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state of `state_dict`; terms without an entry are unchanged."""
        for term in self.terms:
            if term.name in state:
                term.load_state_dict(state[term.name])

    def groups(self, context: StepContext) -> list[Sequence[Term]]:
        """Return the terms of this update in differentiation order: terms on scores, then terms on gradients only.

        Raises:
            RuntimeError: if no term trains this network.
        """
        due = [term for term in self.terms if term.side == context.side and weight_of(term, context) is not None]
        if not due:
            raise RuntimeError(f"the loss has no term for {context.side}")
        # A term without declared needs may access anything, so it is in the first group.
        apart = [term for term in due if term.needs and POINTS.keys() >= set(term.needs)]
        return [group for group in ([term for term in due if term not in apart], apart) if group]

    def total(self, context: StepContext) -> Tensor:
        """Compute the scalar that the current network minimizes; log it as ``D_loss`` or ``G_loss``.

        Each term is also logged under its own name, before its weight.

        Raises:
            RuntimeError: if no term trains this network.
        """
        total = reduce(add, [weighted_sum(group, context) for group in self.groups(context)])
        context.log(f"{context.side}_loss", total)
        return total


def weight_of(term: Term, context: StepContext) -> float | Tensor | None:
    """Return the weight of a term in this update; None if the term is not computed."""
    return (term.weight_in(context) or None) if context.weights is None else context.weights.get(term.name)


def weighted_sum(terms: Sequence[Term], context: StepContext) -> Tensor:
    """Compute all needs, then sum_i weight_i * term_i; log each term under its name."""
    context.compute({need for term in terms for need in term.all_needs})
    values = []
    for term in terms:
        value = term(context)
        context.log(term.name, value)
        values.append(value * cast(float, weight_of(term, context)))
    for need in POINTS:  # gradients of D's score, which take the most memory because of their graphs
        vars(context).pop(need, None)
    return reduce(add, values)


def logged_scores(context: StepContext) -> tuple[Tensor, Tensor]:
    """Return D's scores [N] of the reals and of the fakes; log their means as ``D_real`` and ``D_fake``."""
    real, fake = context.real_verdict.scores, context.fake_verdict.scores
    context.log("D_real", real.mean())
    context.log("D_fake", fake.mean())
    return real, fake


class Sum(Loss):
    """The sum of the given terms.

    Args:
        terms: terms of both networks.
    """

    def __init__(self, terms: Sequence[Term]) -> None:
        self._terms = tuple(terms)

    @property
    def terms(self) -> Sequence[Term]:
        """The given terms."""
        return self._terms
