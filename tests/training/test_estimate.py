import time

import torch

from pggan_framework.networks import Discriminator, Generator
from pggan_framework.training.estimate import estimate


def test_figures_grow_with_depth_and_networks_stay_as_they_are():
    G, D = Generator([1, 64, 64], 512, fmap_max=48, latent_size=64), Discriminator([1, 64, 64], 512, fmap_max=48)
    G.depth = 2
    G.alpha = 0.5
    start = time.perf_counter()
    rows = [estimate(G, D, G.growth, depth, 16) for depth in range(5)]
    assert time.perf_counter() - start < 10
    assert G.depth == 2 and D.depth == 4 and next(D.parameters()).device.type == "cpu"
    for name in ("parameters", "memory_bytes", "seconds_per_kimg"):
        figures = [getattr(row, name) for row in rows]
        assert figures == sorted(figures) and figures[0] > 0, name
    # Every weight but the image layers of the lower depths.
    idle = sum(p.numel() for n in (G.to_rgb, D.from_rgb) for layer in list(n)[:-1] for p in layer.parameters())
    assert rows[-1].parameters == sum(p.numel() for n in (G, D) for p in n.parameters()) - idle


def test_memory_of_activations_by_hand():
    # Twice the batch needs as much again of everything but weights.
    G, D = Generator([1, 32, 32], 64, fmap_max=8, latent_size=8), Discriminator([1, 32, 32], 64, fmap_max=8)
    one, two, three = (estimate(G, D, G.growth, 3, n).memory_bytes for n in (16, 32, 48))
    assert abs((three - two) - (two - one)) < 0.05 * (two - one)
    # D's first two layers alone hold 2 x 8 maps of 32 x 32 for reals, fakes and interpolates.
    maps = D.from_rgb[3].weight.shape[0]
    assert two - one > 16 * 3 * 2 * maps * 32 * 32 * 4
    assert torch.get_default_dtype() == torch.float32
