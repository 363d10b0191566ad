"""Captured graphs, one per kind of update, which ``compile`` uses instead of eager autograd."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from pggan_framework.losses.base import Loss, Term, weight_of
from pggan_framework.losses.context import Side, StepContext
from pggan_framework.training.capture import CannotCaptureError, Captured, capture, fields_of, race
from pggan_framework.training.step import backward

if TYPE_CHECKING:
    from torch.fx import GraphModule


def obstacle(loss: Loss) -> str:
    """Return the reason why updates of `loss` cannot be captured with any networks; empty if they can be."""
    if type(loss).total is not Loss.total:
        return f"{type(loss).__name__} sums its terms in a custom way"
    for term in loss.terms:
        if type(term).after_update is not Term.after_update or term.state_dict():
            return f"{term.name} keeps a state from one update to the next"
    return ""


class Captures:
    """Uses a captured graph per kind of update and falls back to eager autograd: a `GradientSource`.

    Args:
        compiler: function that compiles a graph to a function.
        say: function that receives the updates that are not captured, with the reason.
        worth: function of a phase (depth, True if it fades in) that returns True if its updates must be captured; by
            default, all phases are captured.
        made: function that is called with each new graph.
        most: largest number of graphs per phase; further kinds use eager autograd.
        clock: function that returns the time in seconds; if given, each new graph is timed, and dropped if eager
            autograd is faster.

    Attributes:
        choices: kind of update -> True if its graph was faster. A resumed run restores the choices from its checkpoint
            and must not choose differently, since graph and eager autograd differ by rounding.
    """

    def __init__(
        self,
        compiler: Callable[[GraphModule], Callable[..., Sequence[Tensor]]],
        say: Callable[[str], None] = lambda text: None,
        worth: Callable[[int, bool], bool] = lambda depth, fading: True,
        made: Callable[[str], None] = lambda text: None,
        most: int = 8,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.compiler, self.say, self.worth, self.made, self.most = compiler, say, worth, made, most
        self.clock = clock
        self.choices: dict[str, bool] = {}
        self.graphs: dict[Any, Captured | None] = {}
        self._phase: tuple[int, bool] | None = None
        self._enabled = False

    def __call__(self, loss: Loss, context: StepContext) -> None:
        """Compute gradients with the graph of this kind of update; captures it at the first update."""
        phase = context.G.depth, context.G.fading
        if phase != self._phase:
            # Free the memory of the previous phase's graphs, which are not used again.
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
        size = "x".join(map(str, context.G.size)) + (" fading" if context.G.fading else "")
        kind = f"{context.side}, {size}, {len(context.latents)} images, {', '.join(weights)}"
        eager_was_faster = f"{context.side}'s update at {size} is not compiled, because eager autograd"
        if self.clock is not None and not self.choices.get(kind, True):
            self.say(f"{eager_was_faster} was faster before")
            return None
        try:
            captured = capture(loss, context, weights, self.compiler)
        except CannotCaptureError as reason:
            self.say(f"{context.side}'s update is not compiled, because {reason}")
            return None
        line = f"compiled {context.side}'s update at {size} in {captured.seconds:.0f} s"
        if self.clock is not None and kind not in self.choices:
            compiled, eager = (round(1000 * s, 3) for s in race(loss, context, weights, captured, self.clock))
            self.choices[kind] = compiled < eager
            if not self.choices[kind]:
                self.say(f"{eager_was_faster} takes {eager:.1f} ms in place of {compiled:.1f}")
                return None
            line += f": {compiled:.1f} ms in place of {eager:.1f}"
        self.made(line)
        return captured


def weights_of(loss: Loss, context: StepContext) -> dict[str, float]:
    """Return the weights of the terms of this update by name, without terms of weight 0."""
    found = ((term.name, weight_of(term, context)) for term in loss.terms if term.side == context.side)
    return {name: float(weight) for name, weight in found if weight is not None}


def kind_of(loss: Loss, context: StepContext, weights: dict[str, float]) -> Any:
    """Return a key that is equal for all updates that one graph can compute."""
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
    """Return a value that compares equal as long as the parameters of a term are equal."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return tuple(_frozen_values(entry, depth + 1) for entry in value)
    if isinstance(value, dict):
        return tuple((name, _frozen_values(entry, depth + 1)) for name, entry in value.items())
    if dataclasses.is_dataclass(value) and depth < 4:
        return _frozen_values(vars(value), depth + 1)
    return id(value)
