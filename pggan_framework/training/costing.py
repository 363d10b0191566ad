"""What operations on tensors cost: counted on shapes without values, and the speed of this machine."""

from __future__ import annotations

import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from pggan_framework.networks.functional import convolve


@dataclass(frozen=True)
class Work:
    """What was done; a mean may have fractions.

    Args:
        flops: floating-point operations of products and convolutions.
        calls: operations on tensors that make new ones.
        written: bytes of these.
    """

    flops: float = 0
    calls: float = 0
    written: float = 0

    def __add__(self, other: Work) -> Work:
        return Work(self.flops + other.flops, self.calls + other.calls, self.written + other.written)

    def __sub__(self, other: Work) -> Work:
        return self + other * -1

    def __mul__(self, factor: float) -> Work:
        return Work(self.flops * factor, self.calls * factor, self.written * factor)


class Ledger(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts FLOPs, operations, the bytes they write, and the most bytes alive at once; meta tensors do."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = self.calls = self.written = self.alive = self.peak = 0
        self._seen: dict[int, Any] = {}
        self._paused = False

    @property
    def work(self) -> Work:
        """What was done so far."""
        return Work(self.flops, self.calls, self.written)

    def pause(self, paused: bool) -> None:
        """Count nothing until told otherwise."""
        self._paused = paused

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if self._paused:
            return result
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
def speed(device: torch.device) -> tuple[float, float]:
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
        y = convolve(x, weight, None, (1, 1), (1, 1))
        torch.autograd.grad(y, weight, torch.ones_like(y))
        wait()

    def copy() -> None:
        x.clone()
        wait()

    return flop / _timed(work, 0.15), 2 * x.numel() * 4 / _timed(copy, 0.05)
