"""What a loss is: a sum of terms, each a batch mean it takes from the context of one update."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar, Literal

import torch
from torch import Tensor

from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase, Verdict
from pggan_framework.networks.functional import input_gradients_only

Side = Literal["D", "G"]
"""Which network an update or a term trains."""


class StepContext:
    """What one update can see. Each thing is computed once, when a term first asks for it.

    In D's update the fakes carry no gradient; in G's they do.

    Args:
        side: which network is updated.
        G: the generator.
        D: the discriminator.
        latents: [N, F].
        reals: [N, C, h, w], faded already; None where the update sees none.
        labels: [N, width] of the fakes, and of the reals where there are any: both have the same.
        mixing: [N, 1, 1, 1] in [0, 1], where each interpolate lies between its real and its fake; drawn if not given.
    """

    def __init__(
        self,
        side: Side,
        G: GeneratorBase,
        D: DiscriminatorBase,
        latents: Tensor,
        reals: Tensor | None = None,
        labels: Tensor | None = None,
        mixing: Tensor | None = None,
    ) -> None:
        self.side = side
        self.G, self.D = G, D
        self.latents, self.labels = latents, labels
        self._reals, self._mixing = reals, mixing
        self.stats: dict[str, Tensor] = {}

    def log(self, name: str, value: Tensor) -> None:
        """Keep a scalar for the logs, cut off from the graph."""
        self.stats[name] = value.detach()

    @property
    def reals(self) -> Tensor:
        """[N, C, h, w].

        Raises:
            RuntimeError: if this update has none.
        """
        if self._reals is None:
            raise RuntimeError(f"the update of {self.side} was given no reals")
        return self._reals

    @cached_property
    def fakes(self) -> Tensor:
        """[N, C, h, w] made from the latents."""
        with torch.set_grad_enabled(self.side == "G"):
            return self.G(self.latents, self.labels)  # type: ignore[no-any-return]

    @cached_property
    def _verdicts(self) -> list[Verdict]:
        # One pass for both is faster than two; `parts` keeps what D computes over a batch apart.
        labels = None if self.labels is None else torch.cat([self.labels, self.labels])
        return self.D.judge(torch.cat([self.reals, self.fakes]), labels, parts=2).split(2)

    @property
    def real_verdict(self) -> Verdict:
        """D's scores [N] and features [N, F] of the reals."""
        return self._verdicts[0]

    @cached_property
    def fake_verdict(self) -> Verdict:
        """D's scores [N] and features [N, F] of the fakes."""
        if self._reals is None:
            return self.D.judge(self.fakes, self.labels)
        return self._verdicts[1]

    @cached_property
    def interpolates(self) -> Tensor:
        """[N, C, h, w], each on the line between a real and a fake; a leaf that takes gradients."""
        mixing = self._mixing
        if mixing is None:
            mixing = torch.rand(self.reals.shape[0], 1, 1, 1, device=self.reals.device, dtype=self.reals.dtype)
        return torch.lerp(self.reals.detach(), self.fakes.detach(), mixing).requires_grad_()

    @cached_property
    def interpolate_gradients(self) -> Tensor:
        """[N, C, h, w], the gradient of D's score at each interpolate, itself differentiable in D's weights."""
        scores = self.D.judge(self.interpolates, self.labels).scores
        with input_gradients_only():
            (gradients,) = torch.autograd.grad(scores.sum(), self.interpolates, create_graph=True)
        return gradients


class Term(ABC):
    """One summand of a loss.

    Attributes:
        name: its name in the logs.
        side: which network it trains.
        weight: what it is multiplied by.
    """

    name: ClassVar[str]
    side: ClassVar[Side]
    weight: float = 1.0

    @abstractmethod
    def __call__(self, context: StepContext) -> Tensor:
        """The scalar mean over the batch, without the weight."""


class Loss(ABC):
    """A sum of terms. A subclass is registered with ``@register("loss")`` and gives `terms`."""

    @property
    @abstractmethod
    def terms(self) -> Sequence[Term]:
        """Every term, of both networks."""

    def __add__(self, terms: Sequence[Term]) -> Loss:
        """This loss with further terms."""
        return Sum([*self.terms, *terms])

    def total(self, context: StepContext) -> Tensor:
        """The scalar that the network being updated minimises; logs it as ``D_loss`` or ``G_loss``.

        Each term is also logged under its own name, before its weight.

        Raises:
            RuntimeError: if no term trains this network.
        """
        total: Tensor | None = None
        for term in self.terms:
            if term.side == context.side:
                value = term(context)
                context.log(term.name, value)
                total = value * term.weight if total is None else total + value * term.weight
        if total is None:
            raise RuntimeError(f"the loss has no term for {context.side}")
        context.log(f"{context.side}_loss", total)
        return total


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
