"""Where the gradients of an update come from: computed operation by operation, or by a graph for its kind."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from pggan_framework.losses.base import Loss, Term
from pggan_framework.losses.context import Side, StepContext
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase
from pggan_framework.networks.layers import shared_kernels
from pggan_framework.training.capture import CannotCaptureError, Captured, capture

if TYPE_CHECKING:
    from torch.fx import GraphModule


class GradientSource(Protocol):
    """Adds the context's share of the gradients of one update to those in the trained network's weights.

    The figures it leaves in the context.
    """

    def __call__(self, loss: Loss, context: StepContext) -> None:
        """Compute them."""


def backward(loss: Loss, context: StepContext) -> None:
    """The gradients of any loss, operation by operation."""
    if type(loss).total is not Loss.total:
        with shared_kernels():
            parts = iter([loss.total(context)])
    else:
        parts = loss.summands(context)
    for part in parts:
        torch.autograd.backward(part if context.share == 1 else part * context.share)


def obstacle(loss: Loss) -> str:
    """Why the updates of `loss` cannot be captured, whatever the networks; empty if they may be."""
    if type(loss).total is not Loss.total:
        return f"{type(loss).__name__} adds up its terms in a way of its own"
    for term in loss.terms:
        if type(term).after_update is not Term.after_update or term.state_dict():
            return f"{term.name} keeps a state from one update to the next"
    return ""


def _frozen_values(value: Any, depth: int = 0) -> Any:
    """Something that is equal as long as a term's parameters are."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return tuple(_frozen_values(entry, depth + 1) for entry in value)
    if isinstance(value, dict):
        return tuple((name, _frozen_values(entry, depth + 1)) for name, entry in value.items())
    if dataclasses.is_dataclass(value) and depth < 4:
        return _frozen_values(vars(value), depth + 1)
    return id(value)


class Captures:
    """Gradients from graphs, one for each kind of update; a kind that has none is computed operation by operation.

    Args:
        compiler: graph -> function.
        say: hears of what has no graph, and why.
        made: hears of every graph that is made, and whose update it is.
        most: how many graphs may be made for one depth before further kinds are left alone.
    """

    def __init__(
        self,
        compiler: Callable[[GraphModule], Callable[..., Sequence[Tensor]]],
        say: Callable[[str], None] = lambda text: None,
        made: Callable[[Side, Captured], None] = lambda side, captured: None,
        most: int = 8,
    ) -> None:
        self.compiler, self.say, self.made, self.most = compiler, say, made, most
        self.graphs: dict[Any, Captured | None] = {}
        self.enabled = True
        """Whether updates are captured at present."""

    def forget(self) -> None:
        """Give the graphs' memory back: another depth or phase has begun."""
        self.graphs.clear()

    def __call__(self, loss: Loss, context: StepContext) -> None:
        """Gradients from the graph of this kind of update, which is made where there is none yet."""
        if not self.enabled:
            backward(loss, context)
            return
        weights = weights_of(loss, context)
        key = kind_of(loss, context, weights)
        if key not in self.graphs:
            self.graphs[key] = self._new(loss, context, weights)
        captured = self.graphs[key]
        if captured is None:
            backward(loss, context)
        else:
            captured.apply(captured.update.inputs(context, weights), context)

    def _new(self, loss: Loss, context: StepContext, weights: dict[str, float]) -> Captured | None:
        if len(self.graphs) == self.most:
            self.say(f"{context.side}'s update has changed {self.most} times; further kinds are not compiled")
        if len(self.graphs) >= self.most:
            return None
        if any(network.recomputes(network.depth) for network in (context.G, context.D)):
            self.say(f"{context.side}'s update is not compiled, because feature maps are computed again to save memory")
            return None
        try:
            captured = capture(loss, context, weights, self.compiler)
        except CannotCaptureError as reason:
            self.say(f"{context.side}'s update is not compiled, because {reason}")
            return None
        self.made(context.side, captured)
        return captured


def weights_of(loss: Loss, context: StepContext) -> dict[str, float]:
    """What the terms of this update are multiplied by; those of weight 0 are not in it."""
    found = ((term.name, term.weight_in(context)) for term in loss.terms if term.side == context.side)
    return {name: weight for name, weight in found if weight}


def kind_of(loss: Loss, context: StepContext, weights: dict[str, float]) -> Any:
    """Equal for updates that one graph can compute."""
    networks: tuple[GeneratorBase, DiscriminatorBase] = context.G, context.D
    side: Side = context.side
    shapes = tuple(None if value is None else (value.shape, value.dtype) for value in context.inputs.values())
    terms = tuple(
        _frozen_values({name: value for name, value in vars(term).items() if name not in ("weight", "schedule")})
        for term in loss.terms
        if term.side == side
    )
    trained = tuple(p.requires_grad for p in (context.G if side == "G" else context.D).parameters())
    states = tuple((network.depth, network.fading, network.training) for network in networks)
    return side, states, shapes, tuple(weights), terms, trained, context.precision
