"""Networks that draw and see patches: the same as networks of half the size on images rearranged by hand."""

from __future__ import annotations

import pytest
import torch

from pggan_framework.errors import UserError
from pggan_framework.networks import Discriminator, Generator
from pggan_framework.schedules.growth import Growth

OUTER = Growth.of((2, 16, 32), depth_offset=3)
"""Images of 8x16, then 16x32, in two channels."""
INNER = Growth.of((8, 8, 16))
"""What is left of them where 2x2 patches are channels."""
SIZES = {"fmap_base": 64, "fmap_max": 8}


def shuffled(patches):
    """[N, C 2 2, h, w] -> [N, C, 2 h, 2 w], pixel by pixel."""
    images = patches.new_zeros(len(patches), patches.shape[1] // 4, 2 * patches.shape[2], 2 * patches.shape[3])
    for down in range(2):
        for across in range(2):
            images[:, :, down::2, across::2] = patches[:, 2 * down + across :: 4]
    return images


@pytest.fixture
def generators():
    torch.manual_seed(0)
    outer = Generator(OUTER, latent_size=6, patch_size=2, **SIZES).double()
    inner = Generator(INNER, latent_size=6, **SIZES).double()
    inner.load_state_dict(outer.state_dict())
    return outer, inner


@pytest.mark.parametrize("depth", [0, 1])
def test_a_generator_draws_patches(generators, depth):
    outer, inner = generators
    outer.depth = inner.depth = depth
    latents = torch.randn(3, 6, dtype=torch.float64)
    torch.testing.assert_close(outer(latents), shuffled(inner(latents)))
    assert outer(latents).shape[1:] == OUTER.shape_at(depth)


def test_a_generator_fades_in_pixels(generators):
    outer, inner = generators
    latents = torch.randn(3, 6, dtype=torch.float64)
    outer.alpha = 0.3
    inner.depth = 0
    small = shuffled(inner(latents)).repeat_interleave(2, 2).repeat_interleave(2, 3)
    inner.depth = 1
    torch.testing.assert_close(outer(latents), 0.7 * small + 0.3 * shuffled(inner(latents)))


@pytest.mark.parametrize("depth", [0, 1])
def test_a_discriminator_sees_patches(depth):
    torch.manual_seed(0)
    outer = Discriminator(OUTER, patch_size=2, **SIZES).double()
    inner = Discriminator(INNER, **SIZES).double()
    inner.load_state_dict(outer.state_dict())
    outer.depth = inner.depth = depth
    patches = torch.randn(4, *INNER.shape_at(depth), dtype=torch.float64)
    torch.testing.assert_close(outer(shuffled(patches)), inner(patches))


def test_at_alpha_0_a_discriminator_judges_the_smaller_image():
    torch.manual_seed(0)
    network = Discriminator(OUTER, patch_size=2, **SIZES).double()
    small = torch.randn(4, *OUTER.shape_at(0), dtype=torch.float64)
    network.depth = 0
    expected = network(small)
    network.depth, network.alpha = 1, 0.0
    torch.testing.assert_close(network(small.repeat_interleave(2, 2).repeat_interleave(2, 3)), expected)


@pytest.mark.parametrize("network", [Generator, Discriminator])
@pytest.mark.parametrize("size", [0, 3])
def test_a_patch_divides_the_first_image(network, size):
    with pytest.raises(UserError, match=f"patch_size {size} is given; allowed: a number that divides the first images"):
        network(OUTER, patch_size=size)
