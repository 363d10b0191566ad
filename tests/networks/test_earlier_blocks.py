"""What a schedule that freezes holds fixed: all but the blocks at the image, where a network grows."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pggan_framework.errors import UserError
from pggan_framework.networks import Discriminator, Generator
from pggan_framework.networks.dcgan import DCGANGenerator


def trained(network: nn.Module) -> set[str]:
    """The first two parts of the names of weights that a step at depth 2 would move, once earlier ones are frozen."""
    network.depth = 2
    for module in network.earlier():
        module.requires_grad_(False)
    inputs = torch.randn(4, 3) if isinstance(network, Generator) else torch.randn(4, 1, 16, 16)
    network(inputs).sum().backward()
    return {".".join(name.split(".")[:2]) for name, weight in network.named_parameters() if weight.grad is not None}


def test_the_new_block_is_the_one_at_the_picture() -> None:
    torch.manual_seed(0)
    G, D = Generator([1, 32, 32], 16, fmap_max=4, latent_size=3), Discriminator([1, 32, 32], 16, fmap_max=4)
    assert trained(G) == {"blocks.2", "to_rgb.2"}
    # The end, block 0 and the score, is trained at every depth.
    assert trained(D) == {"blocks.2", "from_rgb.2", "blocks.0", "score.weight", "score.bias"}


def test_nothing_is_frozen_at_the_first_depth_and_others_say_no() -> None:
    network = Generator([1, 32, 32], 16, fmap_max=4, latent_size=3)
    network.depth = 0
    assert list(network.earlier()) == []
    with pytest.raises(UserError, match="DCGANGenerator has no list of blocks by depth"):
        DCGANGenerator([1, 8, 8], fmap_base=4, latent_size=3).earlier()
