"""Row statistics as an additional input of a discriminator's output block."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pggan_framework.networks import Discriminator
from pggan_framework.networks.statistics import EPSILON, SCALES, row_statistics
from pggan_framework.schedules.growth import Growth

IMAGES = arrays(np.float64, (2, 1, 4, 8), elements=st.floats(-1, 1, width=32))
SIZES = {"fmap_base": 64, "fmap_max": 8}


@settings(deadline=None)
@given(IMAGES)
def test_statistics_by_hand(pixels):
    found = row_statistics(torch.from_numpy(pixels), 8).numpy()
    for image in range(2):
        for row in range(4):
            values = pixels[image, 0, row]
            steps = sum(abs(values[column + 1] - values[column]) for column in range(7)) / 8
            expected = values.mean(), np.sqrt(values.var() + EPSILON), steps
            np.testing.assert_allclose(found[image, :, row], np.multiply(SCALES, expected), atol=1e-12)


@settings(deadline=None)
@given(IMAGES)
def test_doubled_columns_have_the_same_statistics(pixels):
    images = torch.from_numpy(pixels)
    torch.testing.assert_close(row_statistics(images.repeat_interleave(2, 3), 16), row_statistics(images, 16))


def discriminator(**options):
    torch.manual_seed(0)
    return Discriminator(Growth.of((2, 16, 32)), row_statistics=True, **SIZES, **options).double()


def test_a_new_depth_starts_from_what_the_one_before_judged():
    network = discriminator()
    small = torch.randn(4, 2, 8, 16, dtype=torch.float64)
    network.depth = 1
    expected = network(small)
    network.depth, network.alpha = 2, 0.0
    torch.testing.assert_close(network(small.repeat_interleave(2, 2).repeat_interleave(2, 3)), expected)


def test_they_see_the_whole_width_and_not_the_order_of_distant_columns():
    network = discriminator()
    constant = torch.zeros(1, 2, 16, 32, dtype=torch.float64)
    ramp = torch.linspace(-1, 1, 32, dtype=torch.float64).expand_as(constant)
    assert network.rows is not None
    assert not torch.allclose(network.rows(ramp), network.rows(constant))
    torch.testing.assert_close(network.rows(ramp), network.rows(ramp.flip(3)))
    # Without them the features are those of the convolutions alone.
    torch.testing.assert_close(network.encode(ramp) - network.rows(ramp), network._features(ramp, 1))


def test_gradients_of_gradients():
    network = discriminator()
    images = torch.randn(2, 2, 16, 32, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(network.rows(images).sum(), images, create_graph=True)
    slope.square().sum().backward()
    assert network.rows.first.weight.grad is not None and network.rows.first.weight.grad.abs().max() > 0
