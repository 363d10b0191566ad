"""Where augmentations are: before D, in its own updates and in G's, alike for reals and fakes."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch

from pggan_framework.audio import build_codec
from pggan_framework.augmentation import ADA, Augmentation, Augmentations, ColourJitter, DiffAugment, SpectrogramAugment
from pggan_framework.errors import UserError
from pggan_framework.losses import BEGAN, R2, WGANGP, RelativisticGAN, StandardGAN, UnrolledD
from pggan_framework.networks import Discriminator, Generator
from pggan_framework.networks.autoencoder import AutoencoderDiscriminator
from pggan_framework.networks.functional import fade
from pggan_framework.training.optimizers import Adam
from pggan_framework.training.selfcheck import check_gradients
from pggan_framework.training.step import TrainingStep


class Triple(Augmentation):
    """Easy to recognize."""

    def __call__(self, images):
        return images * 3


class Plus(Augmentation):
    """Adds 1 to reals."""

    applies_to = "reals"

    def __call__(self, images):
        return images + 1


class Cut(Augmentation):
    """Lets no gradient through, as none must."""

    def __call__(self, images):
        return images.detach().clone()


def step_for(loss, augmentations, D=Discriminator, seed=0):
    torch.manual_seed(seed)
    G, D = Generator([3, 8, 8], 64, fmap_max=8, latent_size=6), D([3, 8, 8], 64, fmap_max=8)
    for network in (G, D):
        network.depth, network.alpha = 1, 0.25
    optimizers = [Adam().build(network.parameters(), 1e-3) for network in (G, D)]
    step = TrainingStep(
        G, D, loss, *optimizers, lambda n: torch.randn(n, 6), augmentations=Augmentations(augmentations)
    )
    step.judged, step.made = [], []
    judge, forward = D.judge, G.forward
    D.judge = lambda images, *a, **k: step.judged.append(images.detach()) or judge(images, *a, **k)

    def remember(*args):
        step.made.append(forward(*args))
        return step.made[-1]

    G.forward = remember
    return step


@pytest.mark.parametrize("loss", [StandardGAN(), WGANGP(), RelativisticGAN()], ids=lambda loss: type(loss).__name__)
def test_d_sees_nothing_that_is_not_augmented(loss):
    step = step_for(loss, [Triple(), Plus()])
    x = torch.randn(4, 3, 8, 8)
    step.discriminator_update(x)
    reals = 3 * (fade(x, partial(torch.lerp, weight=0.25), (2, 2)) + 1)  # those for reals first
    torch.testing.assert_close(step.judged[0], torch.cat([reals, 3 * step.made[0].detach()]))
    if isinstance(loss, WGANGP):  # the penalty's points are between what D sees
        between = (step.judged[1] - reals) / (3 * step.made[0].detach() - reals)
        torch.testing.assert_close(between, between[:, :1, :1, :1].expand_as(between), atol=1e-3, rtol=1e-3)
    step.judged.clear()
    step.generator_update(4)
    seen = {"fakes": 3 * step.made[1].detach(), "reals": reals}
    for images in step.judged:
        assert any(torch.allclose(images, allowed) for allowed in seen.values())
    assert len(step.judged) == (2 if isinstance(loss, RelativisticGAN) else 1)


def test_g_is_trained_through_the_augmentation():
    step = step_for(StandardGAN(), [Triple()])
    torch.manual_seed(1)
    latents = torch.randn(4, 6)
    weight = step.G.to_rgb[1].weight
    loss = torch.nn.functional.softplus(-step.D(step.G(latents) * 3)).mean()
    (by_hand,) = torch.autograd.grad(loss, weight)
    torch.manual_seed(1)
    step.generator_update(4)
    torch.testing.assert_close(weight.grad, by_hand)


def test_both_kinds_go_through_the_same_draws():
    x = torch.rand(8, 3, 16, 16)
    for part in (DiffAugment(), ADA(fixed_p=0.7), SpectrogramAugment()):
        pipeline, results = Augmentations([part]), []
        for apply in (pipeline.of_reals, pipeline.of_fakes):
            torch.manual_seed(5)
            results.append(apply(x))
        assert torch.equal(*results) and not torch.equal(results[0], x)
    assert Augmentations([ColourJitter()]).of_fakes(x) is x
    assert not torch.equal(Augmentations([ColourJitter()]).of_reals(x), x)


def test_another_range_of_the_networks_is_the_same_in_other_units():
    x = torch.rand(4, 3, 8, 8, dtype=torch.float64) * 2 - 1
    results = []
    for low, high in ((-1, 1), (0, 1), (-3, 5)):
        torch.manual_seed(2)
        scaled = (x + 1) / 2 * (high - low) + low
        got = Augmentations([DiffAugment(), ADA(fixed_p=0.8)], (low, high)).of_fakes(scaled)
        results.append((got - low) / (high - low))
    torch.testing.assert_close(results[1], results[0])
    torch.testing.assert_close(results[2], results[0])


def test_none_and_a_probability_of_0_leave_an_update_as_it_was():
    results = []
    for augmentations in ([], [ADA()]):
        step = step_for(StandardGAN(), augmentations)
        torch.manual_seed(3)
        stats = step.discriminator_update(torch.randn(4, 3, 8, 8))
        assert ("ada.p" in stats) == bool(augmentations)
        results.append(step.D.state_dict())
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


@pytest.mark.parametrize(
    ("loss", "D"),
    [(UnrolledD(WGANGP(), 2), Discriminator), (BEGAN(), AutoencoderDiscriminator)],
    ids=["unrolled", "BEGAN"],
)
def test_the_self_check_and_losses_of_their_own_kind(loss, D):
    augmentations = [ColourJitter(), DiffAugment(), ADA(initial_p=0.5, speed_kimg=0.016, interval=1)]
    step = step_for(loss, augmentations, D)
    check_gradients(step)
    assert augmentations[2].state_dict()["updates"] == 0 and augmentations[2].p == 0.5
    for _ in range(2):
        stats = step.discriminator_update(torch.randn(8, 3, 8, 8))
        stats |= step.generator_update(8)
    assert all(torch.isfinite(value) for value in stats.values())
    assert {"ada.p", "ada.r"} <= set(stats) and augmentations[2].p in (0, 0.5, 1)


def test_the_self_check_finds_an_augmentation_that_lets_no_gradient_through():
    with pytest.raises(UserError, match="is to train the generator, but its gradient does not reach it"):
        check_gradients(step_for(StandardGAN() + R2().terms, [Cut()]))


def test_ada_hears_the_scores_of_what_d_saw():
    ada = ADA(interval=1, speed_kimg=0.008, target=0.5)
    step = step_for(StandardGAN(), [ada])
    with torch.no_grad():
        step.D.score.bias.fill_(100)
    assert float(step.discriminator_update(torch.randn(4, 3, 8, 8))["ada.r"]) == 1
    assert ada.p == 0.5
    with torch.no_grad():
        step.D.score.bias.fill_(-100)
    assert float(step.discriminator_update(torch.randn(4, 3, 8, 8))["ada.r"]) == -1
    assert ada.p == 0
    assert "ada.p" not in step.generator_update(4)


def test_what_would_spoil_the_data_is_refused():
    maps = SimpleNamespace(condition_shape=lambda count, size: (count, 2, *size))
    rows = SimpleNamespace(condition_shape=lambda count, size: (count, 2))
    for part in (DiffAugment(), ADA(), ColourJitter()):
        with pytest.raises(UserError, match=f"{type(part).__name__} is given, .* allowed: SpectrogramAugment$"):
            Augmentations([part]).check(build_codec("abslog"), None)
    moving = [DiffAugment(), ADA(), ADA(transforms=("blit",)), ColourJitter(flip=0.5), ColourJitter(rotation=5)]
    for part in [*moving, SpectrogramAugment()]:
        with pytest.raises(UserError, match=f"{type(part).__name__} moves image contents"):
            Augmentations([part]).check(None, maps)
        Augmentations([part]).check(None, rows)
    still = [DiffAugment(policy=("color", "cutout")), ADA(transforms=("colour",)), ColourJitter()]
    Augmentations([*still, SpectrogramAugment(time_shift=0)]).check(None, maps)
    Augmentations([SpectrogramAugment()]).check(build_codec("abslog"), rows)
