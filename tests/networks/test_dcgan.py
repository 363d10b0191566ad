"""DCGAN's networks: their layers against PyTorch's own, their sizes, and plain training with them."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pggan_framework import UserError, run
from pggan_framework.labels.attributes import collect
from pggan_framework.losses import WGANGP, UnrolledD
from pggan_framework.losses.context import StepContext
from pggan_framework.models.pretrained import load_generator
from pggan_framework.networks import DCGANDiscriminator, DCGANGenerator, GrowingNetwork, describe
from pggan_framework.networks.dcgan import StridedConv
from pggan_framework.networks.norms import Norm, SpectralNorm
from pggan_framework.runs.folders import snapshots
from pggan_framework.schedules.growth import Growth
from pggan_framework.training.checkpoint import load_checkpoint
from pggan_framework.training.ema import EMA

NORMS = ["none", "batch", "instance", "layer", "spectral"]
SMALL: dict[str, Any] = {"fmap_base": 4, "fmap_max": 8}
MIDDLE = Growth.of([3, 16, 16])
SHAPES = [Growth.of(s) for s in ([3, 8, 8], [1, 64, 64], [2, 16, 64])] + [Growth.of([1, 32, 16], seed=[2, 4])]
PLAIN: dict[str, Any] = {
    "dataset_class": "TonesDataset",
    "TonesDataset.count": 20,
    "TonesDataset.n_fft": 32,
    "TonesDataset.hop_length": 16,
    "generator": "DCGANGenerator",
    "discriminator": "DCGANDiscriminator",
    "progressive_growing": False,
    **{f"DCGAN{name}.{key}": value for name in ("Generator", "Discriminator") for key, value in SMALL.items()},
    "DCGANGenerator.latent_size": 4,
    "minibatch_size": 4,
    "Trainer.tick_nimg_default": 16,
    "postprocessors": [],
    "loggers": ["JSONLLogger"],
    "exp_name": "plain",
}


def generator(growth: Growth = MIDDLE, **more: Any) -> DCGANGenerator:
    torch.manual_seed(0)
    return DCGANGenerator(growth, **{**SMALL, "latent_size": 3, **more}).double()


def discriminator(growth: Growth = MIDDLE, **more: Any) -> DCGANDiscriminator:
    torch.manual_seed(0)
    return DCGANDiscriminator(growth, **{**SMALL, **more}).double()


def count(network: GrowingNetwork) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("growth", SHAPES, ids=lambda growth: "x".join(map(str, growth.shape)))
def test_shapes_and_tables(growth: Growth) -> None:
    G, D = generator(growth), discriminator(growth)
    pictures = G(torch.randn(2, 3).double())
    assert tuple(pictures.shape) == (2, *growth.shape) and pictures.abs().max() <= 1
    verdict = D.judge(pictures)
    maps = min(4 << (growth.max_depth - 1), 8)
    assert verdict.scores.shape == (2,) and verdict.features.shape == (2, maps * growth.seed[0] * growth.seed[1])
    for network in (G, D):
        rows = describe(network)
        assert sum(row[2] for row in rows) == count(network) and all(row[1] != "unused" for row in rows)


def test_parameters_by_formula() -> None:
    # 3x32x32 from a latent of 100: 4x4 with 256 maps, 8x8 with 128, 16x16 with 64, then the image.
    G, D = DCGANGenerator([3, 32, 32]), DCGANDiscriminator([3, 32, 32], norm="batch")
    between = 16 * (256 * 128 + 128 * 64) + 2 * (128 + 64)
    assert count(G) == 100 * 256 * 16 + 2 * 256 + between + 16 * 64 * 3 + 3
    between = 16 * (256 * 128 + 128 * 64) + 2 * (128 + 256)
    assert count(D) == 16 * 3 * 64 + 64 + between + 256 * 16 + 1
    for weight in (G.dense.weight, D.score.weight, *(p for p in G.parameters() if p.ndim == 4)):
        assert float(weight.detach().std()) == pytest.approx(0.02, rel=0.06)
    # 1x8x16 from 2x8 by one doubling of both axes and one of the height: kernels 3x3 where an even one would be 4x3.
    growth = Growth.of([1, 8, 16], seed=[2, 8])
    D = DCGANDiscriminator(growth, fmap_base=2, fmap_max=3, norm="none", kernel_size=4)
    assert count(D) == (4 * 3 * 1 * 2 + 2) + (4 * 4 * 2 * 3 + 3) + (3 * 2 * 8 + 1)


@pytest.mark.parametrize("kernel", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("factor", [(2, 2), (1, 2), (2, 1)])
def test_convolutions_are_those_of_pytorch(kernel: int, factor: tuple[int, int]) -> None:
    torch.manual_seed(0)
    sides = tuple(kernel if step == 2 else kernel - 1 + kernel % 2 for step in factor)
    padding, extra = (
        tuple((side - 1) // 2 for side in sides),
        tuple(side % 2 if step == 2 else 0 for side, step in zip(sides, factor, strict=True)),
    )
    down, up = (StridedConv((2, 3), factor, kernel, transposed=t).double() for t in (False, True))
    assert down.weight.shape[2:] == up.weight.shape[2:] == sides
    for layer in (down, up):
        torch.nn.init.normal_(layer.bias)  # type: ignore[arg-type]
    x = torch.randn(2, 2, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(down(x), F.conv2d(x, down.weight, down.bias, factor, padding))
    expected = F.conv_transpose2d(x, up.weight, up.bias, factor, padding, extra)
    assert tuple(expected.shape[2:]) == (8 * factor[0], 8 * factor[1])
    torch.testing.assert_close(up(x), expected)


@pytest.mark.parametrize(("kind", "axes"), [("batch", (0, 2, 3)), ("instance", (2, 3)), ("layer", (1, 2, 3))])
def test_norms_by_hand(kind: Any, axes: tuple[int, ...]) -> None:
    norm = Norm(kind, 3).double()
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = torch.randn(6, 3, 4, 2, dtype=torch.float64) * 3 + 1

    def by_hand(x: Tensor) -> Tensor:
        centred = x - x.mean(axes, keepdim=True)
        normed = centred / (centred.square().mean(axes, keepdim=True) + 1e-5).sqrt()
        return normed * norm.weight[:, None, None] + norm.bias[:, None, None]

    torch.testing.assert_close(norm(x), by_hand(x))
    torch.testing.assert_close(norm(x, 2), torch.cat([by_hand(x[:3]), by_hand(x[3:])]))
    assert not list(norm.buffers())


def test_spectral_norm_finds_the_largest_singular_value() -> None:
    torch.manual_seed(0)
    norm, weight = SpectralNorm(4).double(), torch.randn(4, 3, 2, 2, dtype=torch.float64)
    for _ in range(300):
        normed = norm(weight)
    torch.testing.assert_close(normed, weight / torch.linalg.svdvals(weight.flatten(1))[0])
    before = norm.direction.clone()
    norm.eval()(weight + 1)
    assert torch.equal(norm.direction, before)


@pytest.mark.parametrize("norm", NORMS)
def test_parts_judged_together_are_judged_as_if_alone(norm: Any) -> None:
    D = discriminator(norm=norm, label_space=collect({"kind": ["a", "b"]})[0])
    x = (
        torch.randn(6, 3, 16, 16, dtype=torch.float64)
        * torch.tensor([1.0, 3.0]).repeat_interleave(3)[:, None, None, None]
    )
    D.eval()  # the estimate of spectral norm stays where it is
    together = D.judge(x, parts=2).split(2)
    for verdict, part in zip(together, x.chunk(2), strict=True):
        alone = D.judge(part)
        torch.testing.assert_close(verdict.scores, alone.scores)
        torch.testing.assert_close(verdict.logits, alone.logits)
    assert torch.allclose(D(x[:3])[:1], D(x[:1])) == (norm != "batch")
    assert norm != "batch" or not torch.allclose(D(x)[:3], together[0].scores)


@pytest.mark.parametrize("norm", NORMS)
def test_gradients_are_right_at_both_orders(norm: Any) -> None:
    growth = Growth.of([1, 4, 4], seed=[2, 1])
    D = discriminator(growth, norm=norm, fmap_base=2, kernel_size=3)
    D.eval()
    for parameter in D.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(2, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(D, x)
    assert torch.autograd.gradgradcheck(D, x, atol=1e-4, fast_mode=True)


@pytest.mark.parametrize("norm", NORMS)
def test_a_penalised_update_gives_every_weight_a_finite_gradient(norm: Any) -> None:
    G, D = generator(dropout=0.2, leakyrelu=True), discriminator(norm=norm, dropout=0.2)
    reals = torch.rand(4, 3, 16, 16, dtype=torch.float64)
    for side, network in (("D", D), ("G", G)):
        context = StepContext(side, G, D, torch.randn(4, 3).double(), reals if side == "D" else None)  # type: ignore[arg-type]
        WGANGP().total(context).backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name
            assert parameter.grad.any(), name


@pytest.mark.parametrize("norm", NORMS)
def test_an_unrolled_discriminator_may_be_penalized(norm: Any) -> None:
    G, D = generator(), discriminator(norm=norm)
    loss = UnrolledD(WGANGP(), steps=1)
    reals, adam = torch.rand(3, 3, 16, 16, dtype=torch.float64), torch.optim.Adam(D.parameters(), 0.01)
    loss.total(StepContext("G", G, D, torch.randn(3, 3).double(), reals, D_optimizer=adam)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in G.parameters())


def test_labels() -> None:
    space, labels = collect({"pitch": [60, 61, 62], "kind": ["a", "b", "b"]})
    one_hot = torch.from_numpy(space.one_hot(labels)).double()
    G, D = generator(label_space=space).eval(), discriminator(label_space=space)
    latents = torch.randn(1, 3).double().expand(3, 3)
    pictures = G(latents, one_hot)
    assert not torch.allclose(pictures[0], pictures[1]) and not torch.allclose(pictures[1], pictures[2])
    logits = D.judge(pictures, one_hot).logits
    assert logits is not None and logits.shape == (3, 5)
    torch.testing.assert_close(logits, D.judge(pictures).logits)
    with pytest.raises(ValueError, match="due are"):
        G(latents)
    with pytest.raises(ValueError, match="due are"):
        discriminator().judge(pictures, one_hot)


def test_the_average_has_the_running_statistics() -> None:
    G, ema = generator(), EMA()
    ema.attach(G)
    for _ in range(3):
        G(torch.randn(8, 3).double() * 5)
    ema.update(G, 1000, 8)
    mine, theirs = dict(ema.generator.named_buffers()), dict(G.named_buffers())
    names = [name for name in theirs if "running" in name]
    assert len(names) == 4 and all(torch.equal(mine[name], theirs[name]) for name in names)
    assert not torch.equal(theirs["norm.running_var"], torch.ones(8).double())
    z = torch.randn(4, 3).double()
    torch.testing.assert_close(ema.generator(z)[:1], ema.generator(z[:1]))
    assert not torch.allclose(G(z)[:1], ema.generator(z[:1]))


def test_they_do_not_grow() -> None:
    for network in (generator(), discriminator()):
        network.depth, network.alpha = 2, 1
        assert list(network.depths) == [2]
        with pytest.raises(ValueError, match="depth 1 is outside 2 to 2"):
            network.depth = 1
    with pytest.raises(ValueError, match="images of shape"):
        discriminator()(torch.randn(2, 3, 4, 4).double())


@pytest.mark.parametrize("cls", [DCGANGenerator, DCGANDiscriminator])
@pytest.mark.parametrize(
    ("shape", "flags", "said"),
    [
        ([1, 8, 8], {"kernel_size": 1}, "kernel_size 1 is not allowed; allowed: 2 and up"),
        ([1, 8, 8], {"dropout": 1.0}, "dropout 1.0 is not allowed; allowed: 0 .off. to below 1"),
        ([1, 8, 8], {"fmap_base": 0}, "fmap_base 0 and fmap_max 512 must be above 0"),
        ([1, 4, 4], {}, "needs images larger than the seed block, 4x4"),
        (Growth.of([1, 4, 4], seed=[1, 1]), {"norm": "instance"}, "norm instance needs a seed block of several pixels"),
    ],
)
def test_limits_are_told(cls: Any, shape: Any, flags: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=f"^{cls.__name__}.?{said}"):
        cls(shape, **flags)
    with pytest.raises(UserError, match="latent_size 0"):
        DCGANGenerator([1, 8, 8], latent_size=0)


def test_growing_is_refused(tmp_path: Path) -> None:
    growing = {**PLAIN, "progressive_growing": True, "result_dir": str(tmp_path)}
    for flags in ({}, {"generator": "Generator"}):
        with pytest.raises(UserError, match="^DCGAN.* cannot grow: set progressive_growing to False") as error:
            run(overrides={**growing, **flags})
        assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_plain_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    flags = {**PLAIN, "DCGANDiscriminator.norm": "spectral", "DCGANDiscriminator.dropout": 0.1, "loss": "LogisticGAN"}
    whole = run(overrides={**flags, "total_kimg": 0.064, "result_dir": str(tmp_path / "a")})
    part = run(overrides={**flags, "total_kimg": 0.032, "result_dir": str(tmp_path / "b")})
    run(overrides={"resume": str(part.path), "total_kimg": 0.064})
    assert all(isfinite(value) for value in whole.stats.values())
    first, second = (load_checkpoint(snapshots(path)[-1]) for path in (whole.path, part.path))
    for state in ("G", "D", "ema"):
        one, two = (end["ema"] if state == "ema" else end["networks"][state] for end in (first, second))
        assert all(torch.equal(one[name], two[name]) for name in one)
    assert {"norm.running_mean", "norm.running_var"} <= set(first["ema"])
    assert any("direction" in name for name in first["networks"]["D"])
    assert not first["ema"]["norm.running_var"].eq(1).any()


def test_a_labelled_run_with_the_default_loss_plays_a_label(tmp_path: Path) -> None:
    flags = {**PLAIN, "TonesDataset.labels": ["pitch"], "total_kimg": 0.016, "result_dir": str(tmp_path)}
    result = run(overrides=flags)
    assert {"D_label", "G_label", "gradient_penalty"} <= set(result.stats)
    model = load_generator(snapshots(result.path)[-1])
    together, alone = model.sample(5, seed=2), model.sample(1, seed=2)
    assert together.shape[1:] == model.growth.shape
    torch.testing.assert_close(torch.from_numpy(together[:1]), torch.from_numpy(alone))
