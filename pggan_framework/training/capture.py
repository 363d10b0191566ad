"""The complete gradient of an update as one graph: traced through the penalty's double backward, then compiled.

``torch.compile`` cannot trace double backward. `step.backward`, the function of the eager step, therefore runs once
under ``make_fx``, which records every operation of the forward, backward and double-backward passes. The recorded graph
is compiled like any other function of tensors: its inputs are weights, buffers, images, latents, alpha and the weights
of the terms; its outputs are gradients and logged values. The optimizer is not part of the graph.
"""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pggan_framework.cpu.transfer import to_device
from pggan_framework.losses.base import Loss
from pggan_framework.losses.context import Progress, StepContext
from pggan_framework.networks.folding import with_tensors
from pggan_framework.networks.torch_private import trace
from pggan_framework.training.step import backward

if TYPE_CHECKING:
    from torch.fx import GraphModule


class CannotCaptureError(Exception):
    """Raised if an update cannot be captured; the message completes the sentence "it is not compiled, because ..."."""


class _Unknown(Progress):
    """A placeholder for the training progress, on which a graph cannot depend."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("nimg", "updates"):
            raise CannotCaptureError(f"a term looks at progress.{name}")
        return super().__getattribute__(name)


def fields_of(context: StepContext) -> dict[str, Tensor]:
    """Return the input tensors of an update, keyed by the argument names of the context."""
    names = "latents", "reals", "labels", "mixing"
    given = {name: getattr(context, name) for name in names if name != "reals" or context.has("reals")}
    return {name: value for name, value in given.items() if value is not None}


class _Update:
    """One kind of update as a function of tensors; the network, depth, terms and shapes define the kind.

    Args:
        loss: loss of the network.
        context: context of an update of this kind.
        weights: weights of the terms by name, without terms of weight 0.
    """

    def __init__(self, loss: Loss, context: StepContext, weights: dict[str, float]) -> None:
        self.loss, self.side = loss, context.side
        self.G, self.D = context.G, context.D
        self.terms = list(weights)
        self.fields = list(fields_of(context))
        self.tensors = {name: list(_tensors(network)) for name, network in (("G", self.G), ("D", self.D))}
        own = self.G if self.side == "G" else self.D
        self.trained = [name for name, parameter in own.named_parameters() if parameter.requires_grad]
        self.reached: list[str] = []
        self.logged: list[str] = []

    def inputs(self, context: StepContext, weights: dict[str, float]) -> list[Tensor]:
        """Return the inputs of the graph for an update: term weights, tensors of the update, and tensors of G and D."""
        like = context.latents
        scale = to_device(torch.tensor([weights[name] for name in self.terms], dtype=like.dtype), like.device)
        tensors = [tensor.detach() for network in (self.G, self.D) for tensor in _tensors(network).values()]
        return [scale, *fields_of(context).values(), *tensors]

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        """Return the gradients of all weights that receive one, then the logged values; sets `reached` and `logged`."""
        left = iter(inputs)
        scale = next(left)
        fields = {name: next(left) for name in self.fields}
        places = {network: {name: next(left) for name in names} for network, names in self.tensors.items()}
        leaves = {name: places[self.side][name].detach().requires_grad_() for name in self.trained}
        places[self.side].update(leaves)
        context = StepContext(
            self.side,
            with_tensors(self.G, places["G"]),
            with_tensors(self.D, places["D"]),
            fields["latents"],
            fields.get("reals"),
            fields.get("labels"),
            fields.get("mixing"),
            _Unknown(),
            weights=dict(zip(self.terms, scale.unbind(), strict=True)),
        )
        with torch.enable_grad():
            backward(self.loss, context)
        found = {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}
        self.reached, self.logged = list(found), list(context.stats)
        return [*found.values(), *context.stats.values()]


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    """Return the weights of the network, then its buffers, by name."""
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


@dataclasses.dataclass(frozen=True)
class Captured:
    """A captured update with its compiled graph.

    Args:
        update: kind of the update.
        compiled: graph as a function of the inputs that it needs.
        needed: indices of these inputs.
        seconds: duration of the compilation in seconds.
        overwrites: True if each call reuses the memory of the previous results, as a CUDA graph does.
    """

    update: _Update
    compiled: Callable[..., Sequence[Tensor]]
    needed: tuple[bool, ...]
    seconds: float = 0.0
    overwrites: bool = False

    def run(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Return the gradients, then the logged values."""
        used = [tensor for tensor, needed in zip(inputs, self.needed, strict=True) if needed]
        with torch.no_grad():
            return list(self.compiled(*used))

    def apply(self, inputs: Sequence[Tensor], context: StepContext) -> None:
        """Accumulate the gradients in the weights and store the logged values in the context."""
        found = self.run(inputs)
        own = dict((context.G if context.side == "G" else context.D).named_parameters())
        weights = [own[name] for name in self.update.reached]
        if self.overwrites:
            # Plugins read values at the end of a tick, e.g. D's gradients after G's update, which must outlive the
            # graph's memory.
            found = [value.clone() for value in found]
        for weight, gradient in zip(weights, found, strict=False):
            if weight.grad is not None:
                weight.grad.add_(gradient, alpha=context.share)
                continue
            gradient = gradient if context.share == 1 else gradient * context.share
            # A fused optimizer iterates over gradients and weights in memory order.
            same = gradient.stride() == weight.stride()
            weight.grad = gradient if same else torch.empty_like(weight).copy_(gradient)
        for name, value in zip(self.update.logged, found[len(weights) :], strict=True):
            context.log(name, value)


def capture(
    loss: Loss,
    context: StepContext,
    weights: dict[str, float],
    compiler: Callable[[GraphModule], Callable[..., Sequence[Tensor]]],
) -> Captured:
    """Capture and compile updates of this kind; weights, buffers and the random state are left unchanged.

    Args:
        loss: loss of the network.
        context: context of an update of this kind.
        weights: weights of the terms by name.
        compiler: function that compiles a graph to a function.

    Raises:
        CannotCaptureError: if the update cannot be captured, or its graph computes different results than the eager
            update.
    """
    start = time.perf_counter()
    update = _Update(loss, context, weights)
    inputs = update.inputs(context, weights)
    with _undone(update, inputs):
        try:
            graph = trace(update, inputs)
        except CannotCaptureError:
            raise
        except Exception as error:
            raise CannotCaptureError(f"it cannot be traced: {_first_line(error)}") from error
        places = graph.graph.find_nodes(op="placeholder")
        needed = tuple(bool(place.users) for place in places)
        for place in places:
            if not place.users:
                graph.graph.erase_node(place)
        _make_once(graph)
        graph.recompile()
        compiled = compiler(graph)
        captured = Captured(update, compiled, needed, overwrites=getattr(compiled, "overwrites", False))
        try:
            difference = _difference(captured, inputs)
        except Exception as error:
            raise CannotCaptureError(f"it cannot be compiled: {_first_line(error)}") from error
    if not difference < _TOLERANCE.get(context.D.execution.precision, 1e-2):
        raise CannotCaptureError(f"its graph gives other gradients, by {difference:.1e} of their size")
    return dataclasses.replace(captured, seconds=time.perf_counter() - start)


def race(
    loss: Loss,
    context: StepContext,
    weights: dict[str, float],
    captured: Captured,
    clock: Callable[[], float],
    turns: int = 3,
) -> tuple[float, float]:
    """Time an update with its graph and with eager autograd, in seconds: the minimum of several runs for each.

    Gradients, buffers and the random state are left unchanged.

    Args:
        loss: loss of the network.
        context: context of the update to time.
        weights: weights of the terms by name.
        captured: captured graph of the update.
        clock: function that waits for pending computation and returns the time in seconds.
        turns: number of timed runs, after one warm-up run.
    """
    inputs = captured.update.inputs(context, weights)
    network = context.G if context.side == "G" else context.D
    gradients = [(parameter, parameter.grad) for parameter in network.parameters()]
    times: tuple[list[float], list[float]] = ([], [])
    with _undone(captured.update, inputs):
        for _ in range(turns + 1):
            for eager in (False, True):
                for parameter, _ in gradients:
                    parameter.grad = None
                again = copy.copy(context)
                again.stats = {}
                start = clock()
                if eager:
                    backward(loss, again)
                else:
                    captured.apply(captured.update.inputs(again, weights), again)
                times[eager].append(clock() - start)
        for parameter, gradient in gradients:
            parameter.grad = gradient
    return min(times[0][1:]), min(times[1][1:])


def _make_once(graph: GraphModule) -> None:
    """Convert kernels to channels-last order once; otherwise, the compiler would convert them for each convolution."""
    for node in graph.graph.find_nodes(op="call_function", target=torch.ops.aten.clone.default):
        if node.kwargs.get("memory_format") is torch.channels_last and len(node.users) > 1:
            node.target, node.kwargs = torch.ops.pggan.channels_last.default, {}


_TOLERANCE = {torch.bfloat16: 0.1, torch.float16: 0.1}
"""Largest difference of the gradients, as a fraction of their norm, when not all operations are in float32.

In float32 the limit is 0.01: if rounding moves one of a million activations across zero, gradients differ by the square
root of that fraction, a thousandth.
"""


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__


def _difference(captured: Captured, inputs: Sequence[Tensor]) -> float:
    """Return the relative difference between graph and eager update on inputs other than those used for tracing."""
    update = captured.update
    count = 1 + len(update.fields)
    # This detects numbers that were constant during tracing but change between updates.
    changed = [inputs[0] * 1.25]
    for name, value in zip(update.fields, inputs[1:count], strict=True):
        other = {"latents": value * 0.5 + 0.1, "reals": value * 0.9 - 0.05, "mixing": 1 - value}
        changed.append(other.get(name, value.roll(1, 0)).contiguous(memory_format=_order(value)))
    rest = list(inputs[count:])
    for network, start in ((update.G, 0), (update.D, len(_tensors(update.G)))):
        if network.fading:
            at = start + list(_tensors(network)).index("alpha_value")
            rest[at] = rest[at] * 0.5 + 0.25
    results = []
    for function in (captured.run, lambda tensors: update(*tensors)):
        torch.manual_seed(1)
        # Both updates must start with the same values of the buffers that an update changes.
        results.append(function([*changed, *(tensor.clone() for tensor in rest)]))
    mine, theirs = results
    if len(mine) != len(theirs):
        return float("inf")
    size = sum(float(value.double().square().sum()) for value in theirs)
    off = sum(float((a.double() - b.double()).square().sum()) for a, b in zip(mine, theirs, strict=True))
    return float((off / max(size, 1e-30)) ** 0.5)


def _order(value: Tensor) -> torch.memory_format:
    return torch.channels_last if value.dim() == 4 else torch.contiguous_format


@contextmanager
def _undone(update: _Update, inputs: Sequence[Tensor]) -> Iterator[None]:
    """A context that restores the state changed by updates, except gradients, buffers and random state."""
    buffers = [(buffer, buffer.clone()) for network in (update.G, update.D) for buffer in network.buffers()]
    device = inputs[0].device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            with torch.no_grad():
                for buffer, before in buffers:
                    buffer.copy_(before)
