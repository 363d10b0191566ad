"""A GPU on paper: tensors that have shapes, types and a CUDA device, but no values, on a machine without a GPU.

`PaperCuda` is PyTorch's fake mode, with which operations on CUDA tensors are checked for shapes, types and devices. It
also refuses what would make the host wait for the device: values that are read back, shapes that depend on values,
and copies from ordinary host memory. One thing of it is changed: PyTorch's autograd looks for a driver when it meets a
CUDA tensor, so that C++ is notified that they are meta tensors; Python sees CUDA.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._pytree import tree_leaves

_META = torch.device("meta")
_SIZED = ("nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive", "bincount")
_WAITS = ("equal", "is_nonzero", "_local_scalar_dense", "multinomial", "_linalg_check_errors")
_BY_VALUE = ("linalg", "cholesky", "lu_factor", "svd", "lstsq")
"""Their CUDA kernels report failure through a number that the host reads."""


class HostSyncError(AssertionError):
    """What would make the host wait for the device."""


class PaperCuda(FakeTensorMode):
    """Within it operations on fake CUDA tensors are checked, and `waits` allows some by name.

    Args:
        device: cuda or mps.
        waits: operations that may make the host wait.
    """

    def __init__(self, device: str = "cuda", waits: Sequence[str] = ()) -> None:
        super().__init__(allow_non_fake_inputs=True)
        self.paper = torch.device(device, 0)
        self.allowed = tuple(waits)
        self.waited: set[str] = set()
        self.watching = False

    def dispatch(self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        if func is torch.ops.prim.device.default:
            device = args[0].fake_device
            return _META if device.type == self.paper.type else device
        given = dict(kwargs or {})
        if given.get("device") is not None and torch.device(given["device"]).type == "meta":
            given["device"] = self.paper
        if self.watching:
            self._look(func, args, given)
            if func is torch.ops.aten._local_scalar_dense.default:
                return 1  # it may be read, but has no value: let it be one
        return super().dispatch(func, types, args, given)

    def _look(self, func: Any, args: Any, kwargs: dict[str, Any]) -> None:
        name = func.overloadpacket.__name__ if hasattr(func, "overloadpacket") else str(func)
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        here = [tensor for tensor in tensors if tensor.device.type == self.paper.type]
        target = kwargs.get("device")
        if self.paper.type == "mps":
            wide = kwargs.get("dtype") == torch.float64 and (here or torch.device(target or "cpu").type == "mps")
            if wide or any(tensor.dtype == torch.float64 for tensor in here):
                raise HostSyncError(f"{name}: Apple's GPUs have no float64")
        there = [tensor for tensor in tensors if tensor.device.type == "cpu" and tensor.dim() > 0]
        if name in ("_to_copy", "copy_"):
            # copy_ goes from its second argument to its first; _to_copy from its first to `device`.
            source = args[1] if name == "copy_" else args[0]
            end = args[0].device.type if name == "copy_" else torch.device(target or source.device).type
            soon = kwargs.get("non_blocking", False) or (name == "copy_" and len(args) > 2 and args[2])
            if source.device.type != end:
                pinned = getattr(source if end == self.paper.type else args[0], "on_paper_pinned", False)
                if not (soon and pinned):
                    self._wait(name, f"a copy from {source.device.type} to {end} in ordinary memory")
            return
        if not here:
            return
        if there:
            raise HostSyncError(f"{name}: tensors on the host and on the device")
        if name in (*_SIZED, *_WAITS) or any(part in name for part in _BY_VALUE if "norm" not in name):
            self._wait(name, "the host reads a value")
        if name.startswith("index") and any(
            getattr(leaf, "dtype", None) in (torch.bool, torch.uint8) for leaf in tree_leaves(args[1])
        ):
            self._wait(name, "a mask as an index")

    def _wait(self, name: str, why: str) -> None:
        if name not in self.allowed:
            raise HostSyncError(f"{name}: {why}")
        self.waited.add(name)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Within it nothing may wait."""
        self.watching = True
        try:
            yield
        finally:
            self.watching = False


@contextmanager
def on_paper(monkeypatch: pytest.MonkeyPatch, device: str = "cuda", waits: Sequence[str] = ()) -> Iterator[PaperCuda]:
    """Within it ``torch.device("cuda")`` is a GPU on paper, and `Module.to` and `pin_memory` know it."""

    def pin(tensor: Tensor, *_: Any) -> Tensor:
        fake = tensor if isinstance(tensor, FakeTensor) else mode.from_tensor(tensor)
        fake.on_paper_pinned = True  # type: ignore[attr-defined]
        return fake

    def to(module: nn.Module, *where: Any, **named: Any) -> nn.Module:
        for part in module.modules():
            for table in (part._parameters, part._buffers):
                for name, value in table.items():
                    moved = None if value is None else value.detach().to(*where, **named)
                    keep = moved is None or not isinstance(value, nn.Parameter)
                    table[name] = moved if keep else nn.Parameter(moved, value.requires_grad)  # type: ignore[arg-type]
        return module

    monkeypatch.setattr(Tensor, "pin_memory", pin)
    monkeypatch.setattr(nn.Module, "to", to)  # PyTorch's would exchange real and fake tensors, which it cannot
    with PaperCuda(device, waits) as mode:
        yield mode


def on_the_host(function: Any) -> Any:
    """A function that computes with real tensors, whatever mode is on."""

    def call(*args: Any, **named: Any) -> Any:
        with unset_fake_temporarily():
            return function(*args, **named)

    return call
