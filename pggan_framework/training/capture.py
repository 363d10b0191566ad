"""The whole gradient of an update as one graph: traced through the penalty's double backward, then compiled.

``torch.compile`` cannot follow a gradient that is differentiated again. So the update is written in ordinary autograd,
run once under ``make_fx``, which notes every operation of the forward, the backward and the backward of the backward,
and what it has noted is compiled like any other function of tensors: weights, buffers, pictures, latents, alpha and the
terms' weights go in, gradients and figures come out. The optimiser stays outside.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import stateless

from pggan_framework.losses.base import Loss
from pggan_framework.losses.context import Progress, StepContext

if TYPE_CHECKING:
    from torch.fx import GraphModule

_FIELDS = ("latents", "reals", "labels", "mixing")


class CannotCaptureError(Exception):
    """Why an update has no graph, in words that complete "it is not compiled, because ..."."""


class _Unknown(Progress):
    """Stands for how far training is, which a graph cannot look at."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("nimg", "updates"):
            raise CannotCaptureError(f"a term looks at progress.{name}")
        return super().__getattribute__(name)


class _Update:
    """One kind of update: which network, at which depth, with which terms and shapes.

    Args:
        loss: what the network minimises.
        context: an update of this kind.
        weights: of the terms, by name; those of weight 0 are not in it.
    """

    def __init__(self, loss: Loss, context: StepContext, weights: dict[str, float]) -> None:
        self.loss, self.side = loss, context.side
        self.G, self.D = context.G, context.D
        self.precision = context.precision
        self.terms = list(weights)
        self.fields = [name for name in _FIELDS if context.inputs[name] is not None]
        self.trained = [p.requires_grad for p in (self.G if self.side == "G" else self.D).parameters()]
        self.names: list[str] = []
        self.reached: list[bool] = []

    def inputs(self, context: StepContext, weights: dict[str, float]) -> list[Tensor]:
        """What the graph takes, of an update like this one."""
        like = context.latents
        scale = torch.tensor([weights[name] for name in self.terms], dtype=like.dtype).to(like.device)
        fields = [cast(Tensor, context.inputs[name]) for name in self.fields]
        tensors = [tensor.detach() for network in (self.G, self.D) for tensor in _tensors(network)]
        return [scale, *fields, *tensors]

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        """Gradients of the weights that are reached, then the figures; fills in `names` and `reached`."""
        scale, rest = inputs[0], inputs[1 + len(self.fields) :]
        fields: dict[str, Tensor | None] = dict.fromkeys(_FIELDS)
        fields.update(zip(self.fields, inputs[1:], strict=False))
        count = len(_tensors(self.G))
        place = {"G": rest[:count], "D": rest[count:]}
        number = sum(1 for _ in (self.G if self.side == "G" else self.D).parameters())
        leaves = [
            tensor.detach().requires_grad_() if trained else tensor
            for tensor, trained in zip(place[self.side][:number], self.trained, strict=True)
        ]
        place[self.side] = (*leaves, *place[self.side][number:])
        with torch.enable_grad(), _standing_in(self.G, place["G"]), _standing_in(self.D, place["D"]):
            context = StepContext(
                self.side, self.G, self.D, cast(Tensor, fields["latents"]), fields["reals"], fields["labels"],
                fields["mixing"], _Unknown(), precision=self.precision,
                weights=dict(zip(self.terms, scale.unbind(), strict=True)),
            )  # fmt: skip
            wanted = [leaf for leaf, trained in zip(leaves, self.trained, strict=True) if trained]
            found: list[Tensor | None] = [None] * len(wanted)
            for part in self.loss.summands(context):
                more = torch.autograd.grad(part, wanted, allow_unused=True)
                found = [b if a is None else a if b is None else a + b for a, b in zip(found, more, strict=True)]
        gradients = iter(found)
        complete = [next(gradients) if trained else None for trained in self.trained]
        self.reached = [gradient is not None for gradient in complete]
        self.names = list(context.stats)
        return [*(gradient for gradient in complete if gradient is not None), *context.stats.values()]


def _tensors(network: nn.Module) -> list[Tensor]:
    """Its weights, then its buffers."""
    return [*network.parameters(), *network.buffers()]


@contextmanager
def _standing_in(network: nn.Module, tensors: Sequence[Tensor]) -> Iterator[None]:
    """Within it the network computes with these tensors."""
    names = [name for name, _ in network.named_parameters()] + [name for name, _ in network.named_buffers()]
    with stateless._reparametrize_module(network, dict(zip(names, tensors, strict=True))):
        yield


@dataclasses.dataclass(frozen=True)
class Captured:
    """An update that has a graph.

    Args:
        update: the kind of update.
        compiled: its graph as a function of those of its inputs that it needs.
        needed: which these are.
        names: of the figures it returns last.
        reached: which of the network's weights it returns a gradient of.
        seconds: that making it took.
        before: seconds that the gradients take operation by operation.
        after: seconds that they take now.
    """

    update: _Update
    compiled: Callable[..., Sequence[Tensor]]
    needed: tuple[bool, ...]
    names: tuple[str, ...]
    reached: tuple[bool, ...]
    seconds: float = 0.0
    before: float = 0.0
    after: float = 0.0

    def run(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Gradients, then figures."""
        used = [tensor for tensor, needed in zip(inputs, self.needed, strict=True) if needed]
        with torch.no_grad():
            return list(self.compiled(*used))

    def apply(self, inputs: Sequence[Tensor], context: StepContext) -> None:
        """Add the gradients to those in the weights, and leave the figures in the context."""
        found = self.run(inputs)
        network = context.G if context.side == "G" else context.D
        weights = [p for p, reached in zip(network.parameters(), self.reached, strict=True) if reached]
        for weight, gradient in zip(weights, found, strict=False):
            if weight.grad is not None:
                weight.grad.add_(gradient, alpha=context.share)
                continue
            gradient = gradient if context.share == 1 else gradient * context.share
            # A fused optimiser goes through both in the order they lie in memory.
            same = gradient.stride() == weight.stride()
            weight.grad = gradient if same else torch.empty_like(weight).copy_(gradient)
        for name, value in zip(self.names, found[len(weights) :], strict=True):
            # A CUDA graph writes its results to the same place every time.
            context.log(name, value.clone() if value.is_cuda else value)


def capture(
    loss: Loss,
    context: StepContext,
    weights: dict[str, float],
    compiler: Callable[[GraphModule], Callable[..., Sequence[Tensor]]],
) -> Captured:
    """The graph of updates like this one; weights, buffers and the random state are left as they were.

    Args:
        loss: what the network minimises.
        context: an update.
        weights: of its terms, as `Captures.weights` gives them.
        compiler: graph -> function.

    Raises:
        CannotCaptureError: if it has no graph, or one that does not give what the update does.
    """
    # It takes a second to import, and most runs have no graphs.
    from torch._guards import TracingContext, tracing
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.proxy_tensor import make_fx

    start = time.perf_counter()
    update = _Update(loss, context, weights)
    inputs = update.inputs(context, weights)
    with _undone(update, inputs):
        try:
            # Without one of the whole trace, a mode is made for every operation, which takes half of the time.
            with tracing(TracingContext(FakeTensorMode(allow_fallback_kernels=True))):
                graph = make_fx(update)(*inputs)
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
        captured = Captured(update, compiler(graph), needed, tuple(update.names), tuple(update.reached))
        try:
            difference = _difference(captured, inputs)
        except Exception as error:
            raise CannotCaptureError(f"it cannot be compiled: {_first_line(error)}") from error
        seconds = time.perf_counter() - start
        before, after = _seconds(lambda: update(*inputs)), _seconds(lambda: captured.run(inputs))
    if not difference < _TOLERANCE.get(context.precision, 1e-2):
        raise CannotCaptureError(f"its graph gives other gradients, by {difference:.1e} of their size")
    return dataclasses.replace(captured, seconds=seconds, before=before, after=after)


def _make_once(graph: GraphModule) -> None:
    """Have kernels put in channels-last order once; the compiler would do so for each convolution that takes one."""
    for node in graph.graph.find_nodes(op="call_function", target=torch.ops.aten.clone.default):
        if node.kwargs.get("memory_format") is torch.channels_last and len(node.users) > 1:
            node.target, node.kwargs = torch.ops.pggan.channels_last.default, {}


_TOLERANCE = {torch.bfloat16: 0.1, torch.float16: 0.1}
"""Most that gradients may differ by, as a share of their norm, where not all is computed in float32.

It is 0.01 in float32: where rounding moves one of a million activations across zero, gradients differ by the root of
that, a thousandth.
"""


def _seconds(work: Callable[[], list[Tensor]]) -> float:
    """How long it takes: the quicker of two times."""
    found = []
    for _ in range(2):
        start = time.perf_counter()
        if work()[0].is_cuda:
            torch.cuda.synchronize()
        found.append(time.perf_counter() - start)
    return min(found)


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__


def _difference(captured: Captured, inputs: Sequence[Tensor]) -> float:
    """How much graph and update differ on other inputs than those it was traced with, as a share of the norm."""
    update = captured.update
    count = 1 + len(update.fields)
    # What was a number while tracing, and is another one now, shows here.
    changed = [inputs[0] * 1.25]
    for name, value in zip(update.fields, inputs[1:count], strict=True):
        other = {"latents": value * 0.5 + 0.1, "reals": value * 0.9 - 0.05, "mixing": 1 - value}
        changed.append(other.get(name, value.roll(1, 0)).contiguous(memory_format=_order(value)))
    rest = list(inputs[count:])
    for network, start in ((update.G, 0), (update.D, len(_tensors(update.G)))):
        names = [name for name, _ in network.named_parameters()] + [name for name, _ in network.named_buffers()]
        if network.fading:
            at = start + names.index("alpha_value")
            rest[at] = rest[at] * 0.5 + 0.25
    results = []
    for function in (captured.run, lambda tensors: update(*tensors)):
        torch.manual_seed(1)
        # Buffers that an update changes are to be the same for both.
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
    """Within it what updates change besides gradients, buffers and random numbers, is changed back at the end."""
    buffers = [(buffer, buffer.clone()) for network in (update.G, update.D) for buffer in network.buffers()]
    device = inputs[0].device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            with torch.no_grad():
                for buffer, before in buffers:
                    buffer.copy_(before)
