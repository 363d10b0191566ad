"""Costs of tensor operations, counted from shapes without values, and the speed of this machine."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from pggan_framework import cpu
from pggan_framework.cpu import winograd
from pggan_framework.cpu.weight_gradients import CACHED, by_products
from pggan_framework.networks.functional import convolve


@dataclass(frozen=True)
class Work:
    """Operation counts; means may be fractional.

    Args:
        flops: number of floating-point operations of matrix products and convolutions.
        calls: number of operations that create new tensors.
        written: size of these new tensors in bytes.
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


def workspace(func: Any, args: tuple[Any, ...]) -> int:
    """Estimate the temporary workspace in bytes of a convolution or its gradients on a CPU, without inputs and outputs.

    The Winograd algorithms need the transformed kernel (36 values per 9 weights, 100 per 16) and the tiles in progress,
    transformed in the same way. The matrix-product algorithm needs the padded input and shifted copies of at least one
    sample. The estimate assumes that each algorithm is used wherever it is applicable. The internal workspace of
    PyTorch's own library is unknown and not counted.

    Args:
        func: ATen operation that autograd calls.
        args: arguments of the operation, on any device.
    """
    if func is torch.ops.aten.convolution.default:
        x, weight, _, stride, padding = args[:5]
        backward = False
    elif func is torch.ops.aten.convolution_backward.default:
        seen, x, weight, _, stride, padding, _, transposed = args[:8]
        x, seen = (seen, x) if transposed else (x, seen)  # a transposed convolution swaps input and output
        backward = args[10][1]
    else:
        return 0
    out, channels, *kernel = weight.shape
    planes = {((3, 3), (1, 1)): 36, ((4, 4), (2, 2)): 100}.get((tuple(kernel), tuple(stride)), 0)
    size = weight.element_size()
    if planes and min(out, channels) >= winograd.FEWEST_CHANNELS and winograd.load(torch.float32) is not None:
        return int(planes * (out * channels + (out + channels) * _TILES) * size)
    if backward and tuple(kernel) != (1, 1) and by_products(torch.empty(0)):
        samples, deep, height, width = x.shape
        padded = samples * deep * (height + 2 * padding[0]) * (width + 2 * padding[1])
        copies = seen.shape[2] * seen.shape[3] * kernel[0] * kernel[1] * deep
        return int(size * (padded + max(copies, min(samples * copies, CACHED))))
    return 0


_TILES = 48
"""Approximate number of tiles that are transformed at a time."""


class Ledger(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts FLOPs, operations, written bytes and the peak of allocated bytes; works on meta tensors.

    Args:
        workspaces: whether to include the temporary workspaces of CPU operations in the peak.
    """

    def __init__(self, workspaces: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.workspaces = workspaces
        self.flops = self.calls = self.written = self.alive = self.peak = 0
        self._seen: dict[int, Any] = {}
        self._paused = False

    @property
    def work(self) -> Work:
        """Return the counts so far."""
        return Work(self.flops, self.calls, self.written)

    def pause(self, paused: bool) -> None:
        """Pause counting."""
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
        if self.workspaces:
            self.peak = max(self.peak, self.alive + workspace(func, args))
        return result

    def _free(self, key: int, size: int) -> None:
        self.alive -= size
        self._seen.pop(key, None)


def _timed(function: Any, seconds: float, clock: Callable[[], float]) -> float:
    """Return the seconds per call according to `clock`: the fastest of at least five calls within about `seconds`."""
    function()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < _REPEATS or time.perf_counter() < end:
        start = clock()
        function()
        times.append(clock() - start)
    return max(min(times), 1e-9)


_REPEATS = 5


@lru_cache(maxsize=4)
def speed(device: torch.device) -> tuple[float, float]:
    """Measure the FLOP/s of a training step's convolutions and the bytes/s of a copy, in 0.4 s.

    Only the weight gradient is measured: it is the slowest third of a convolution. On a CPU, the clock is this thread's
    CPU time, so that other load does not lower the result.
    """
    clock = time.thread_time if device.type == "cpu" else time.perf_counter
    x = torch.randn(8, 64, 32, 32, device=device).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(64, 64, 3, 3, device=device, requires_grad=True)
    flop = 2 * 2 * x.numel() * 64 * 9

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        elif device.type == "mps":
            torch.mps.synchronize()

    def work() -> None:
        y = convolve(x, weight, None, cpu.Geometry((1, 1), (1, 1)))
        torch.autograd.grad(y, weight, torch.ones_like(y))
        wait()

    def copy() -> None:
        x.clone()
        wait()

    return flop / _timed(work, 0.3, clock), 2 * x.numel() * 4 / _timed(copy, 0.1, clock)
