"""What is used of PyTorch beyond its public interface, and what is done where it is missing."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pggan_framework.networks import Discriminator
from pggan_framework.networks.folding import Folding, with_tensors
from pggan_framework.networks.torch_private import are_wanted, compiled_code, foreach, parts_of, shallow_copy, trace


class Told(torch.autograd.Function):
    """x * weight; keeps which gradients a backward pass wants."""

    asked: list[bool] = []  # noqa: RUF012

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return x * weight

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        Told.asked[:] = are_wanted(ctx.next_functions)
        return gradients[0] * weight, gradients[0] * x


def asked(of: str, missing: bool = False) -> list[bool]:
    x, weight = (torch.ones(2, requires_grad=True) for _ in range(2))
    y = Told.apply(x.view_as(x), weight.view_as(weight)).sum()  # type: ignore[no-untyped-call]
    torch.autograd.grad(y, [x] if of == "x" else [x, weight]) if of != "all" else y.backward()
    return list(Told.asked)


def test_a_backward_pass_says_what_it_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked("x") == [True, False]
    assert asked("both") == asked("all") == [True, True]
    assert are_wanted([(None, 0)]) == [False]
    monkeypatch.delattr(torch._C, "_will_engine_execute_node")
    assert asked("x") == [True, True]  # slower, and right


def test_parts_are_those_of_modules_each_once() -> None:
    inner = nn.Sequential(nn.ReLU(), nn.Linear(2, 3))
    whole = nn.Sequential(inner, nn.ModuleList([inner, nn.BatchNorm1d(3)]), nn.ReLU())
    whole.register_module("none", None)
    assert parts_of([whole]) == list(whole.modules())
    assert parts_of([whole[1], None, inner]) == list(whole[1].modules())
    D = Discriminator([3, 16, 16], fmap_base=32, fmap_max=4)
    assert parts_of([D]) == list(D.modules())


def test_a_copy_shares_all_but_what_changes() -> None:
    inner, other = nn.Linear(2, 3), nn.BatchNorm1d(3)
    whole = nn.Sequential(inner, nn.Sequential(other), nn.ReLU(), inner)
    copy = shallow_copy(whole, {inner: {"weight": torch.zeros(3, 2), "note": "mine"}})
    assert copy is not whole and copy[0] is copy[3] and copy[0] is not inner
    assert copy[1] is whole[1] and copy[2] is whole[2] and copy[0].bias is inner.bias
    assert not copy[0].weight.any() and inner.weight.any()
    assert copy[0].note == "mine" and not hasattr(inner, "note")
    assert shallow_copy(whole, {}) is whole


def test_other_tensors_by_name_leave_a_network_as_it_is() -> None:
    D = Discriminator([1, 8, 8], fmap_base=32, fmap_max=4, spectral_norm=True)
    x, before = torch.randn(4, 1, 8, 8), {name: value.clone() for name, value in D.state_dict().items()}
    tensors = {**dict(D.named_parameters()), **dict(D.named_buffers())}
    moved = with_tensors(D, {"score.bias": torch.full((1,), 1000.0)})
    assert bool((moved(x) > 500).all()) and bool((D(x) < 500).all())
    D.load_state_dict(before)
    copied = with_tensors(D, {name: value.clone() for name, value in tensors.items()})
    torch.testing.assert_close(copied(x), D(x))
    D.load_state_dict(before)
    copied(x)
    assert all(torch.equal(value, before[name]) for name, value in D.state_dict().items())


def test_folded_kernels_give_the_same_values_and_gradients() -> None:
    torch.manual_seed(0)
    D = Discriminator([1, 8, 8], fmap_base=32, fmap_max=4).double()
    x, found = torch.randn(4, 1, 8, 8).double(), []
    for folds in (False, True):
        D.zero_grad()
        folding = Folding(D) if folds else None
        values = D(x).square().sum(), D(-x).sum()
        if folding is None:
            sum(values).backward()
        else:
            gradients = [torch.autograd.grad(value, folding.sources, allow_unused=True) for value in values]
        if folding is not None:
            assert D.blocks[1].first.weight.grad is None  # it stops at the kernels
            folding.end()
            folding.backward(gradients)
        found.append([p.grad for p in D.parameters()])
    for mine, theirs in zip(*found, strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("there", [True, False])
def test_many_tensors_move_at_once_or_one_by_one(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    if not there:
        monkeypatch.delattr(torch, "_foreach_lerp_")
        monkeypatch.delattr(torch, "_foreach_mul")
    tensors = [torch.zeros(2), torch.ones(3)]
    foreach("lerp_", tensors, [torch.ones(2), torch.full((3,), 3.0)], 0.25)
    assert not foreach("mul", [], [])
    assert [float(each) for each in foreach("mul", [torch.ones(1)] * 2, [2.0, 3.0])] == [2, 3]
    assert tensors[0].tolist() == [0.25] * 2 and tensors[1].tolist() == [1.5] * 3


@pytest.mark.parametrize("there", [True, False])
def test_a_trace_holds_the_backward_pass(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    if not there:
        monkeypatch.delattr("torch._guards.tracing")
        monkeypatch.setitem(sys.modules, "torch._inductor.runtime.cache_dir_utils", None)
        assert compiled_code() is None

    def slope(x: Tensor) -> list[Tensor]:
        leaf = x.detach().requires_grad_()
        return list(torch.autograd.grad(leaf.pow(3).sum(), leaf))

    graph = trace(slope, [torch.ones(2)])
    assert graph(torch.full((2,), 2.0))[0].tolist() == [12, 12]
