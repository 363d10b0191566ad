"""All that is used of PyTorch beyond its public interface, each with what happens where it is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from torch.fx import GraphModule

M = TypeVar("M", bound=nn.Module)


def is_wanted(node: Any) -> bool:
    """Whether the backward pass under way needs the gradient that goes to `node`, one of ``ctx.next_functions``.

    ``autograd.grad(scores, images)`` needs no gradient of weights. PyTorch's own operations know; a Python autograd
    function cannot see it, and would compute and keep them in vain. For leaves that ``autograd.grad`` differentiates
    by, PyTorch raises an error; their gradients are needed. Without an answer the result is True: slower, never wrong.
    """
    if node is None:
        return False
    try:
        return bool(torch._C._will_engine_execute_node(node))
    except (AttributeError, RuntimeError):
        return True


def shallow_copy(module: M, changes: Mapping[nn.Module, Mapping[str, Any]]) -> M:
    """The module with other attributes in some of its parts; what has none is shared, and nothing is changed in place.

    ``torch.func.functional_call`` would put tensors into the module for the time of a call: a block that is recomputed
    in the backward pass, after that, would find others there. The three tables of `nn.Module` are not a public
    interface, but the same since its first version; without them this raises AttributeError.

    Args:
        module: the whole.
        changes: part -> attribute -> value: a tensor for a weight or buffer, or anything else.
    """
    whole = _copied(module, changes, {})
    assert isinstance(whole, type(module))
    return whole


def _copied(
    old: nn.Module, changes: Mapping[nn.Module, Mapping[str, Any]], copies: dict[nn.Module, nn.Module]
) -> nn.Module:
    """`shallow_copy` of a part; `copies` are those made so far, since a module may be in several places.

    A function within `shallow_copy` would be part of a cycle, and every step's tensors would wait for the collector.
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
    """An operation on each of many tensors; one call for all where there is one.

    Args:
        name: add, mul or lerp_, say: ``torch._foreach_add`` and a method of tensors.
        tensors: the first arguments.
        arguments: the others, each a sequence, one for each tensor, or a number for all.
    """
    together = getattr(torch, f"_foreach_{name}", None)
    if tensors and together is not None:
        return list(together(tensors, *arguments) or tensors)
    each = [repeat(a) if isinstance(a, float) else a for a in arguments]
    return [getattr(tensor, name)(*others) for tensor, *others in zip(tensors, *each, strict=False)]


def trace(function: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor]) -> GraphModule:
    """Every operation that a function of tensors does, its backward passes included, as a graph.

    Raises:
        Exception: of many kinds, if it cannot be traced; the caller then does without a graph.
    """
    # It takes a second to import, and most runs have no graphs.
    from torch.fx.experimental.proxy_tensor import make_fx

    try:
        from torch._guards import TracingContext, tracing
        from torch._subclasses.fake_tensor import FakeTensorMode
    except ImportError:
        return make_fx(function)(*inputs)
    # Without one of the whole trace, a mode is made for every operation, which takes half of the time.
    with tracing(TracingContext(FakeTensorMode(allow_fallback_kernels=True))):
        return make_fx(function)(*inputs)


def is_traced() -> bool:
    """Whether `trace` records what is computed at the moment; no where PyTorch does not say."""
    try:
        from torch.fx.experimental.proxy_tensor import get_proxy_mode
    except ImportError:
        return False
    return get_proxy_mode() is not None


def compiled_code() -> Path | None:
    """The folder where torch.compile keeps compiled code between runs; None where it does not say."""
    try:
        from torch._inductor.runtime.cache_dir_utils import cache_dir
    except ImportError:
        return None
    return Path(cache_dir())
