"""All uses of PyTorch beyond its public interface, each with a fallback."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from torch.fx import GraphModule

M = TypeVar("M", bound=nn.Module)


def are_wanted(nodes: Iterable[tuple[Any, int]]) -> list[bool]:
    """Return which gradients the current backward pass needs among those that go to `nodes`: ``ctx.next_functions``.

    ``autograd.grad(scores, images)`` needs no weight gradients. PyTorch's own operations skip them, but a Python
    autograd function cannot see this and would compute and store them needlessly. For leaves that ``autograd.grad``
    differentiates by, PyTorch raises an error; their gradients are needed. If PyTorch gives no answer, the result is
    True, which is slower but never wrong.
    """
    found = []
    for node, _ in nodes:
        try:
            found.append(node is not None and bool(torch._C._will_engine_execute_node(node)))
        except (AttributeError, RuntimeError):
            found.append(True)
    return found


def parts_of(modules: Iterable[nn.Module | None]) -> list[nn.Module]:
    """List the modules and all their submodules once each, in the order of ``modules()`` but without recursion."""
    found: dict[nn.Module, None] = {}
    left = [*modules][::-1]
    while left:
        module = left.pop()
        if module is not None and module not in found:
            found[module] = None
            left += [*module._modules.values()][::-1]
    return [*found]


def shallow_copy(module: M, changes: Mapping[nn.Module, Mapping[str, Any]]) -> M:
    """Copy a module with other attributes in some submodules. Unchanged submodules are shared, and none is modified.

    ``torch.func.functional_call`` would replace the module's tensors only during a call, so a block that is recomputed
    later, in the backward pass, would find other tensors. The three tables of `nn.Module` are not a public interface
    but have not changed since its first version; if they are missing, this raises AttributeError.

    Args:
        module: module that contains the submodules.
        changes: submodule -> attribute -> value: a tensor for a weight or buffer, or any other value.
    """
    whole = _copied(module, changes, {})
    assert isinstance(whole, type(module))
    return whole


def _copied(
    old: nn.Module, changes: Mapping[nn.Module, Mapping[str, Any]], copies: dict[nn.Module, nn.Module]
) -> nn.Module:
    """Implement `shallow_copy` for a submodule; `copies` are the earlier copies, as a module may occur several times.

    A function nested in `shallow_copy` would form a reference cycle, so every step's tensors would wait for the garbage
    collector.
    """
    if old in copies:
        return copies[old]
    own, children = changes.get(old), old._modules
    new_children = {
        name: None if child is None else _copied(child, changes, copies) for name, child in children.items()
    }
    new = old
    if own or any(new_children[name] is not child for name, child in children.items()):
        new = object.__new__(type(old))
        tables: dict[str, dict[str, Any]] = {
            "_parameters": dict(old._parameters),
            "_buffers": dict(old._buffers),
            "_modules": new_children,
        }
        new.__dict__ = {**old.__dict__, **tables}
        for name, value in (own or {}).items():
            table = next((t for t in tables.values() if name in t), new.__dict__)
            table[name] = value
    copies[old] = new
    return new


def foreach(name: str, tensors: Sequence[Tensor], *arguments: Any) -> Sequence[Tensor]:
    """Apply an operation to each of many tensors, with a single call if PyTorch has one.

    Args:
        name: name of a ``torch._foreach_`` operation and tensor method, such as add, mul or lerp_.
        tensors: first operands.
        arguments: other operands, each a sequence with an item per tensor, or one number for all.
    """
    together = getattr(torch, f"_foreach_{name}", None)
    if tensors and together is not None:
        return list(together(tensors, *arguments) or tensors)
    each = [repeat(a) if isinstance(a, float) else a for a in arguments]
    return [getattr(tensor, name)(*others) for tensor, *others in zip(tensors, *each, strict=False)]


def trace(function: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor]) -> GraphModule:
    """Trace all operations of a function of tensors, including its backward passes, as a graph.

    Raises:
        Exception: of many types, if it cannot be traced; the caller then continues without a graph.
    """
    # The import takes a second, and most runs need no graphs.
    from torch.fx.experimental.proxy_tensor import make_fx

    try:
        from torch._guards import TracingContext, tracing
        from torch._subclasses.fake_tensor import FakeTensorMode
    except ImportError:
        return make_fx(function)(*inputs)
    # Without one mode for the whole trace, PyTorch creates one per operation, which takes half of the time.
    with tracing(TracingContext(FakeTensorMode(allow_fallback_kernels=True))):
        return make_fx(function)(*inputs)


def is_traced() -> bool:
    """True if `trace` is currently recording; False if PyTorch does not report it."""
    # The import takes a second, and nothing is traced unless it has been imported.
    tracer = sys.modules.get("torch.fx.experimental.proxy_tensor")
    mode = getattr(tracer, "get_proxy_mode", None)
    return mode is not None and mode() is not None


def compiled_code() -> Path | None:
    """The cache folder of torch.compile; None if unknown."""
    try:
        from torch._inductor.runtime.cache_dir_utils import cache_dir
    except ImportError:
        return None
    return Path(cache_dir())
