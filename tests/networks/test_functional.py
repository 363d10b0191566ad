"""What no gradient reaches is given none, rather than zeros to compute with."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pggan_framework.networks import Discriminator
from pggan_framework.networks.execution import Execution
from pggan_framework.networks.functional import Geometry, convolve, leaky_relu

SAME = Geometry((1, 1), (1, 1))


def test_a_leaky_relu_is_the_librarys_and_has_no_second_derivative() -> None:
    x = torch.randn(5, 7, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(5, 7, dtype=torch.float64, requires_grad=True)
    y = leaky_relu(x, 0.2)
    assert torch.equal(y, nn.functional.leaky_relu(x, 0.2))
    (slope,) = torch.autograd.grad((y * weight).sum(), x, create_graph=True)
    slopes = (x > 0).double() * 0.8 + 0.2
    torch.testing.assert_close(slope, slopes * weight)
    of_x, of_weight = torch.autograd.grad(slope.square().sum(), [x, weight], allow_unused=True)
    assert of_x is None
    assert of_weight is not None
    torch.testing.assert_close(of_weight, 2 * slopes.square() * weight)


def test_a_penalty_sends_nothing_into_what_a_convolution_was_computed_from() -> None:
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    first, second = (torch.randn(3, 3, 3, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))

    def score(points: Tensor) -> Tensor:
        return convolve(convolve(points, first, None, SAME, 0.2), second, None, SAME).sum()

    (gradient,) = torch.autograd.grad(score(x), x, create_graph=True)
    found = torch.autograd.grad(gradient.square().sum(), [x, first, second], allow_unused=True)
    assert found[0] is None and found[1] is not None and found[2] is not None


def test_a_penaltys_gradients_are_the_plain_ones_down_to_the_head() -> None:
    torch.manual_seed(0)
    D = Discriminator([3, 4, 4], fmap_base=32, fmap_max=8, mbstd_group=2).double()
    x = torch.randn(4, 3, 4, 4, dtype=torch.float64, requires_grad=True)

    def gradients() -> list[Tensor | None]:
        (slopes,) = torch.autograd.grad(D(x).sum(), x, create_graph=True)
        return list(torch.autograd.grad(slopes.square().sum(), list(D.parameters()), allow_unused=True))

    mine = gradients()
    D.execute(Execution(reference=True))
    expected = gradients()
    assert sum(value is not None for value in mine) >= 5
    for a, b in zip(mine, expected, strict=True):
        known = next(value for value in (a, b, torch.zeros(1)) if value is not None)
        zeros = torch.zeros_like(known)
        torch.testing.assert_close(zeros if a is None else a, zeros if b is None else b)
