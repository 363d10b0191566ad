"""What a loss is: a sum of terms, each a batch mean it takes from the context of one update."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any, ClassVar, cast

from torch import Tensor

from pggan_framework.losses.context import Side, StepContext
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase
from pggan_framework.networks.layers import shared_kernels
from pggan_framework.registry import contract


class Term(ABC):
    """One summand of a loss.

    Attributes:
        name: its name in the logs.
        side: which network it trains.
        weight: what it is multiplied by.
        needs_reals: whether a term of G looks at reals too; D's always may.
        compares: whether it compares the samples of a batch, so that the mean of two halves' values is not the whole's.
        alone: whether, of all that D computes, it looks at the gradients of its score only.
    """

    name: ClassVar[str]
    side: ClassVar[Side]
    weight: float = 1.0
    needs_reals: ClassVar[bool] = False
    compares: ClassVar[bool] = False
    alone: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, context: StepContext) -> Tensor:
        """The scalar mean over the batch, without the weight."""

    def weight_in(self, context: StepContext) -> float:
        """What it is multiplied by in this update; 0: it is not computed."""
        return self.weight

    def check(self, G: GeneratorBase, D: DiscriminatorBase) -> None:  # noqa: B027  -- most terms suit all networks
        """See that the term suits these networks; called once, before training.

        Raises:
            UserError: if it does not.
        """

    def after_update(self, context: StepContext) -> None:  # noqa: B027  -- most terms keep nothing
        """Take note of the update that was just made with `context`, for a term that keeps a state of its own.

        The context's figures are those of the whole batch, however it was divided.
        """

    def state_dict(self) -> dict[str, Any]:
        """What the term keeps from one update to the next, for an exact resume: plain values and tensors."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027
        """Take back what `state_dict` gave."""


@contract("loss")
class Loss(ABC):
    """A sum of terms. A subclass is registered with ``@register("loss")`` and gives `terms`."""

    @property
    @abstractmethod
    def terms(self) -> Sequence[Term]:
        """Every term, of both networks."""

    def __add__(self, terms: Sequence[Term]) -> Loss:
        """This loss with further terms."""
        return Sum([*self.terms, *terms])

    @property
    def needs_reals_for_G(self) -> bool:
        """Whether G's update is to see reals: those of D's last one."""
        return any(term.needs_reals for term in self.terms if term.side == "G")

    def check(self, G: GeneratorBase, D: DiscriminatorBase) -> None:
        """See that every term suits these networks.

        Raises:
            UserError: if one does not.
        """
        for term in self.terms:
            term.check(G, D)

    def after_update(self, context: StepContext) -> None:
        """Tell the terms of the network that was just updated."""
        for term in self.terms:
            if term.side == context.side:
                term.after_update(context)

    def state_dict(self) -> dict[str, Any]:
        """The state of every term that has one, by its name."""
        states = {term.name: term.state_dict() for term in self.terms}
        return {name: state for name, state in states.items() if state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave; a term that is not in it stays as it is."""
        for term in self.terms:
            if term.name in state:
                term.load_state_dict(state[term.name])

    def total(self, context: StepContext) -> Tensor:
        """The scalar that the network being updated minimises; logs it as ``D_loss`` or ``G_loss``.

        Each term is also logged under its own name, before its weight.

        Raises:
            RuntimeError: if no term trains this network.
        """
        return reduce(add, self.summands(context))

    def summands(self, context: StepContext) -> Iterator[Tensor]:
        """Scalars whose sum is `total`, computed one after the other; it logs what `total` does.

        Their graphs have nothing in common but the weights. Where each is differentiated before the next is asked for,
        what D has computed for its scores and what it has for the penalties do not lie in memory together.

        Raises:
            RuntimeError: if no term trains this network.
        """
        weighted = [(term, context.weight_of(term)) for term in self.terms]
        found = [(term, weight) for term, weight in weighted if weight is not None]
        if not found:
            raise RuntimeError(f"the loss has no term for {context.side}")
        whole: Tensor | None = None
        for alone in (False, True):
            total: Tensor | None = None
            with shared_kernels():
                for term, weight in found:
                    if term.alone == alone:
                        value = term(context)
                        context.log(term.name, value)
                        total = value * weight if total is None else total + value * weight
                        del value
            context.forget_gradients()
            if total is not None:
                whole = total.detach() if whole is None else whole + total.detach()
                yield total
        context.log(f"{context.side}_loss", cast(Tensor, whole))


class Sum(Loss):
    """The sum of given terms.

    Args:
        terms: of both networks.
    """

    def __init__(self, terms: Sequence[Term]) -> None:
        self._terms = tuple(terms)

    @property
    def terms(self) -> Sequence[Term]:
        """As given."""
        return self._terms
