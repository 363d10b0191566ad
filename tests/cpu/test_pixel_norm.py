"""Pixel norm in C++: values and derivatives are the formula's; where PyTorch computes it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pggan_framework.cpu import pixel_norm as native_norm
from pggan_framework.cpu import winograd
from pggan_framework.networks.execution import Execution
from pggan_framework.networks.functional import EPSILON, pixel_norm
from pggan_framework.networks.torch_private import trace

needed = pytest.mark.skipif(winograd.load(torch.float64) is None, reason="not used on this machine")
OURS, THEIRS = Execution(), Execution(kernels="torch")


def formula(x: Tensor) -> Tensor:
    return x / (x.square().mean(1, keepdim=True) + EPSILON).sqrt()


def images(*shape: int) -> Tensor:
    order = torch.channels_last if len(shape) == 4 else torch.contiguous_format
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).contiguous(
        memory_format=order
    )


@needed
@pytest.mark.parametrize("shape", [(3, 1), (2, 37), (2, 8, 3, 2), (3, 45, 2, 2), (5, 128, 8, 8)])
def test_values_and_gradients_of_any_order_are_the_formulas(shape: tuple[int, ...]) -> None:
    x, direction = images(*shape).requires_grad_(), images(*shape).flip(0).contiguous()
    assert native_norm.suits(x, "auto")
    found = []
    for way in (lambda x: pixel_norm(x, OURS), formula):
        y = way(x)
        (first,) = torch.autograd.grad((y * direction).sum(), x)
        (again,) = torch.autograd.grad((way(x) * direction).sum(), x, create_graph=True)
        found.append([y, first, again, *torch.autograd.grad(again.square().sum(), x)])
    for mine, wanted in zip(*found, strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-12, atol=1e-12)
    assert found[0][0].stride() == x.stride()


@needed
def test_other_threads_give_the_same_bits() -> None:
    x, before, found = images(4, 64, 16, 16).float(), torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            y, scale = native_norm.pixel_norm(x, EPSILON)
            found.append((y, native_norm.pixel_norm_backward(x, y, scale)))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


@needed
def test_where_pytorch_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    x = images(2, 5, 4, 4).requires_grad_()
    nodes = trace(lambda x: [*torch.autograd.grad(pixel_norm(x, OURS).sum(), x)], [x]).graph.nodes
    assert not any("pggan" in str(node.target) for node in nodes), "a compiler could not fuse it"

    def never(*_: object) -> None:
        raise AssertionError("it was to be left to PyTorch")

    monkeypatch.setattr(native_norm.native, "code", never)
    for inputs, execution in (
        (x, THEIRS),
        (x, Execution(reference=True)),
        (x, None),
        (x.detach().contiguous(), OURS),  # channels are apart in memory
        (x.detach().bfloat16(), OURS),
        (x.detach().to("meta"), OURS),
    ):
        y = pixel_norm(inputs, execution)
        if inputs.dtype == x.dtype and inputs.device == x.device:
            torch.testing.assert_close(y, formula(inputs), rtol=1e-12, atol=1e-12)
