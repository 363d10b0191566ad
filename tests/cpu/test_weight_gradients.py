import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pggan_framework.cpu import Geometry, weight_gradient, weight_gradients


@pytest.fixture(autouse=True)
def products(monkeypatch):
    monkeypatch.setattr(weight_gradients, "_SLOW_LIBRARY", True)


@given(
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.tuples(st.integers(1, 2), st.integers(1, 2)),
    st.booleans(),
    st.integers(1, 5),
)
@settings(deadline=None, max_examples=20)
def test_products_give_what_autograd_gives(kernel, stride, transposed, samples):
    torch.manual_seed(0)
    padding = tuple(side // 2 for side in kernel)
    operation = torch.nn.functional.conv_transpose2d if transposed else torch.nn.functional.conv2d
    weight = torch.randn(3, 2, *kernel, dtype=torch.float64, requires_grad=True)
    x = torch.randn(samples, 3 if transposed else 2, 7, 8, dtype=torch.float64)
    y = operation(x, weight, None, stride, padding)
    gradient = torch.randn_like(y)
    (wanted,) = torch.autograd.grad(y, weight, gradient)
    found = weight_gradient(x, gradient, weight.detach(), Geometry(stride, padding, transposed), "auto")
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


def test_samples_are_taken_some_at_a_time(monkeypatch):
    x, gradient = torch.randn(7, 4, 6, 6, dtype=torch.float64), torch.randn(7, 5, 6, 6, dtype=torch.float64)
    weight = torch.empty(5, 4, 3, 3, dtype=torch.float64)
    whole = weight_gradient(x, gradient, weight, Geometry((1, 1), (1, 1)), "auto")
    for cached in (1, 3 * 36 * 36):
        monkeypatch.setattr(weight_gradients, "CACHED", cached)
        torch.testing.assert_close(weight_gradient(x, gradient, weight, Geometry((1, 1), (1, 1)), "auto"), whole)


def test_the_operator_is_well_formed():
    args = torch.randn(2, 3, 5, 4), torch.randn(2, 6, 3, 2), [4, 4], [2, 2], [2, 2]
    torch.library.opcheck(torch.ops.pggan.weight_gradient.default, args, test_utils=("test_schema", "test_faketensor"))
