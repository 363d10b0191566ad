"""Captured graphs, one per kind of update, which ``compile`` uses instead of eager autograd."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from pggan_framework.losses.base import Loss, Term, weight_of
from pggan_framework.losses.context import Side, StepContext
from pggan_framework.training.capture import CannotCaptureError, Captured, capture, fields_of
from pggan_framework.training.step import backward

if TYPE_CHECKING:
    from torch.fx import GraphModule


def obstacle(loss: Loss) -> str:
    """Why the updates of `loss` cannot be captured with any network; empty if they may be."""
    if type(loss).total is not Loss.total:
        return f"{type(loss).__name__} sums its terms in a custom way"
    for term in loss.terms:
        if type(term).after_update is not Term.after_update or term.state_dict():
            return f"{term.name} keeps a state from one update to the next"
    return ""


class Captures:
    """Uses a captured graph per kind of update and falls back to eager autograd: a `GradientSource`.

    Args:
        compiler: graph -> function.
        say: receives what has no graph, and why.
        worth: depth, whether it fades -> whether to capture its updates; all by default.
        made: called for each new graph.
        most: how many graphs may be made for one phase before further kinds are left alone.
    """

    def __init__(
        self,
        compiler: Callable[[GraphModule], Callable[..., Sequence[Tensor]]],
        say: Callable[[str], None] = lambda text: None,
        worth: Callable[[int, bool], bool] = lambda depth, fading: True,
        made: Callable[[str], None] = lambda text: None,
        most: int = 8,
    ) -> None:
        self.compiler, self.say, self.worth, self.made, self.most = compiler, say, worth, made, most
        self.graphs: dict[Any, Captured | None] = {}
        self._phase: tuple[int, bool] | None = None
        self._enabled = False

    def __call__(self, loss: Loss, context: StepContext) -> None:
        """Gradients from the graph of this kind of update, which is made where there is none yet."""
        phase = context.G.depth, context.G.fading
        if phase != self._phase:
            # The graphs of the phase before are not used again: their memory is given back.
            self._phase, self._enabled = phase, self.worth(*phase)
            self.graphs.clear()
        if not self._enabled:
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
        try:
            captured = capture(loss, context, weights, self.compiler)
        except CannotCaptureError as reason:
            self.say(f"{context.side}'s update is not compiled, because {reason}")
            return None
        size = "x".join(map(str, context.G.size)) + (" fading" if context.G.fading else "")
        self.made(f"compiled {context.side}'s update at {size} in {captured.seconds:.0f} s")
        return captured


def weights_of(loss: Loss, context: StepContext) -> dict[str, float]:
    """The weights of this update's terms; those of weight 0 are left out."""
    found = ((term.name, weight_of(term, context)) for term in loss.terms if term.side == context.side)
    return {name: float(weight) for name, weight in found if weight is not None}


def kind_of(loss: Loss, context: StepContext, weights: dict[str, float]) -> Any:
    """A key that is equal for updates that one graph can compute."""
    side: Side = context.side
    shapes = tuple((name, value.shape, value.dtype) for name, value in fields_of(context).items())
    terms = tuple(
        _frozen_values({name: value for name, value in vars(term).items() if name not in ("weight", "schedule")})
        for term in loss.terms
        if term.side == side
    )
    trained = tuple(p.requires_grad for p in (context.G if side == "G" else context.D).parameters())
    states = tuple((n.depth, n.fading, n.training, n.execution) for n in (context.G, context.D))
    return side, states, shapes, tuple(weights), terms, trained


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
