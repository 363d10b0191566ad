"""What training at a depth will cost, without training: for a dry run."""

from __future__ import annotations

import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from pggan_framework.growth import Growth
from pggan_framework.losses.auxiliary import AuxiliaryClassifier
from pggan_framework.losses.wgan import WGANGP
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase
from pggan_framework.networks.describe import meta_copy
from pggan_framework.training.step import TrainingStep

_CALL_SECONDS = 50e-6
"""Rough time that one operation of a step takes whatever its size, autograd and Python included; measured on a CPU."""

_REACHED = 0.7
"""Share of the speed measured on one wide convolution and one copy that a whole step reaches; measured on a CPU, 4 to
64 px, where it lay between 0.5 and 0.75, lowest for few feature maps."""

_CPU_OVERHEAD = 2.0
"""Resident memory over the bytes of the tensors alive: oneDNN's reordered copies and freed blocks the allocator keeps.

Measured as 1.8 to 2.1 at 16 to 64 px.
"""


@dataclass(frozen=True)
class Estimate:
    """What a depth costs.

    Args:
        parameters: weights of both networks that are in use.
        memory_bytes: peak of weights, their average, gradients, optimiser state and activations, beyond what
            PyTorch itself takes (0.1 to 0.5 GB).
        seconds_per_kimg: time for a thousand images.
    """

    parameters: int
    memory_bytes: int
    seconds_per_kimg: float


class _Ledger(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts FLOPs, operations, the bytes they write, and the most bytes alive at once; meta tensors do."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = self.calls = self.written = self.alive = self.peak = 0
        self._seen: dict[int, Any] = {}

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        counter = flop_registry.get(func.overloadpacket)
        if counter is not None:
            self.flops += counter(*args, **(kwargs or {}), out_val=result)
        inputs = {id(leaf.untyped_storage()) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        outputs = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        if any(id(leaf.untyped_storage()) not in inputs for leaf in outputs):
            self.calls += 1
        for leaf in outputs:
            storage = leaf.untyped_storage()
            key, size = id(storage), storage.nbytes()
            if key not in inputs and key not in self._seen:
                self.written += size
                self.alive += size
                self.peak = max(self.peak, self.alive)
                self._seen[key] = weakref.finalize(storage, self._free, key, size)
        return result

    def _free(self, key: int, size: int) -> None:
        self.alive -= size
        self._seen.pop(key, None)


def _timed(function: Any, seconds: float) -> float:
    """Seconds one call takes: the quickest within `seconds`."""
    function()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best


@lru_cache(maxsize=4)
def _speed(device: torch.device) -> tuple[float, float]:
    """FLOP/s of a training step's convolutions and bytes/s of a copy, measured for 0.2 s.

    The weight gradient stands for them all: it is the slowest third.
    """
    x = torch.randn(8, 64, 32, 32, device=device).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(64, 64, 3, 3, device=device, requires_grad=True)
    flop = 2 * 2 * x.numel() * 64 * 9

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    def work() -> None:
        torch.autograd.grad(torch.nn.functional.conv2d(x, weight, padding=1).sum(), weight)
        wait()

    def copy() -> None:
        x.clone()
        wait()

    return flop / _timed(work, 0.15), 2 * x.numel() * 4 / _timed(copy, 0.05)


def estimate(G: GeneratorBase, D: DiscriminatorBase, growth: Growth, depth: int, batch: int) -> Estimate:
    """Estimate a training step of WGAN-GP and Adam at `depth`, faded in, from operations on shapes without values.

    Args:
        G: the generator; neither it nor `D` is changed.
        D: the discriminator.
        growth: the shapes both grow through.
        depth: where to train.
        batch: images a step.
    """
    device = next(G.parameters()).device
    weights = sum(p.numel() * p.element_size() for n in (G, D) for p in n.parameters())
    averaged = sum(p.numel() * p.element_size() for p in G.parameters())
    G, D = meta_copy(G), meta_copy(D)
    for network in (G, D):
        network.depth = depth
        network.alpha = 1
    space = G.label_space
    labels = None if space is None else torch.empty(batch, space.width, device="meta")
    step = TrainingStep(
        G,
        D,
        WGANGP() + AuxiliaryClassifier().terms if space is not None and D.classifies else WGANGP(),
        SGD(G.parameters(), 0.0),
        SGD(D.parameters(), 0.0),
        lambda count: torch.empty(count, G.latent_size, device="meta"),
        labels=None if space is None else lambda count: torch.empty(count, space.width, device="meta"),
    )
    reals = torch.empty(batch, *growth.shape_at(depth), device="meta")
    with _Ledger() as ledger:
        step.discriminator_update(reals, labels)
        step.generator_update(batch)
    used = [p for network in (G, D) for p in network.parameters() if p.grad is not None]
    adam = 2 * sum(p.numel() * p.element_size() for p in used)
    rate, bandwidth = _speed(device)
    # Each value written is about one more read.
    work = ledger.flops / rate + 2 * ledger.written / bandwidth
    seconds = work / _REACHED + ledger.calls * _CALL_SECONDS
    return Estimate(
        parameters=sum(p.numel() for p in used),
        memory_bytes=weights + averaged + adam + int(ledger.peak * (_CPU_OVERHEAD if device.type == "cpu" else 1)),
        seconds_per_kimg=seconds * 1000 / batch,
    )
