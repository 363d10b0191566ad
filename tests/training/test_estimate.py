import time

import pytest
import torch
from torch import Tensor
from torch.optim import SGD, Adam

from pggan_framework.losses import BEGAN, GDPP, R1, HingeGAN, Penalty, StandardGAN, StepContext, UnrolledD
from pggan_framework.losses.base import Loss
from pggan_framework.networks import AutoencoderDiscriminator, Discriminator, Generator
from pggan_framework.networks.base import DiscriminatorBase
from pggan_framework.training.estimate import Estimate, Training, estimate


def test_figures_grow_with_depth_and_networks_stay_as_they_are():
    G, D = Generator([1, 64, 64], 512, fmap_max=48, latent_size=64), Discriminator([1, 64, 64], 512, fmap_max=48)
    G.depth = 2
    G.alpha = 0.5
    start = time.process_time()
    rows = [estimate(G, D, G.growth, depth, 16) for depth in range(5)]
    assert time.process_time() - start < 10
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


def tiny() -> tuple[Generator, Discriminator]:
    options = {"fmap_base": 32, "fmap_max": 4}
    return Generator([1, 8, 8], latent_size=4, **options), Discriminator([1, 8, 8], **options)


def cost(loss: Loss, D: DiscriminatorBase | None = None, repeats: int = 1, nimg: int = 0, batch: int = 8) -> Estimate:
    G, usual = tiny()
    D = usual if D is None else D
    adams = (Adam(network.parameters(), fused=True) for network in (G, D))
    return estimate(G, D, G.growth, 1, batch, Training(loss, *adams, repeats, nimg))


def test_the_real_loss_is_counted() -> None:
    plain = cost(StandardGAN())
    costs = [
        cost(StandardGAN() + GDPP().terms),
        cost(StandardGAN() + R1().terms),
        cost(UnrolledD(StandardGAN(), steps=1)),
        cost(UnrolledD(StandardGAN(), steps=2)),
    ]
    assert all(one.notes == () for one in (plain, *costs))
    seconds = [plain.seconds_per_kimg, *(one.seconds_per_kimg for one in costs)]
    assert seconds == sorted(seconds) and seconds[3] > 2 * seconds[0]
    D = AutoencoderDiscriminator([1, 8, 8], fmap_base=32, fmap_max=4, hidden_size=4)
    loss = BEGAN()
    assert cost(loss, D).notes == () and loss.state_dict() == {"D_began": {"k": torch.zeros(())}}


def test_lazy_terms_count_as_their_average_and_repeats_as_often() -> None:
    plain, always, lazy = (
        cost(loss).seconds_per_kimg for loss in (HingeGAN(), HingeGAN() + R1().terms, HingeGAN() + R1(interval=4).terms)
    )
    assert lazy - plain == pytest.approx((always - plain) / 4, rel=0.01)
    # A weight that is 0 at this moment is not computed.
    later = HingeGAN() + R1(schedule={0: 0, 1: 0, 1.001: 1}).terms
    assert cost(later, nimg=500).seconds_per_kimg == pytest.approx(plain, rel=0.01)
    assert cost(later, nimg=2000).seconds_per_kimg == pytest.approx(always, rel=0.01)
    # Twice D, once G, for twice the images: D's share stays, G's halves.
    assert 0.5 * plain < cost(HingeGAN(), repeats=2).seconds_per_kimg < plain


def test_the_state_of_the_real_optimiser_is_counted() -> None:
    G, D = tiny()
    sgd = Training(HingeGAN(), SGD(G.parameters(), 0.1), SGD(D.parameters(), 0.1))
    without, with_adam = estimate(G, D, G.growth, 1, 8, sgd), cost(HingeGAN())
    # Adam keeps two numbers for each weight, and a count for each tensor.
    tensors = sum(1 for n in (G, D) for name, _ in n.named_parameters() if "rgb.0" not in name)
    assert with_adam.memory_bytes - without.memory_bytes == 4 * (2 * with_adam.parameters + tensors)
    assert not sgd.G_optimizer.state


class Curious(Penalty):
    """Looks at a value."""

    name = "curious"
    side = "D"

    def __call__(self, context: StepContext) -> Tensor:
        scores = context.real_verdict.scores
        return scores.mean() * float(scores[0].detach())


def test_what_needs_values_is_named() -> None:
    got = cost(HingeGAN() + Curious().terms)
    assert got.notes == ("curious is not counted: it cannot be computed on shapes alone",)
    assert got.seconds_per_kimg == pytest.approx(cost(HingeGAN()).seconds_per_kimg, rel=0.01)
