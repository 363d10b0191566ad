"""The switches of the growing networks' blocks: norms, spectral norm, dropout."""

from __future__ import annotations

import hashlib
from math import isfinite, sqrt
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tiny import TONES
from torch import Tensor

from pggan_framework import UserError, run
from pggan_framework.labels.attributes import collect
from pggan_framework.losses.context import StepContext
from pggan_framework.losses.unrolled import UnrolledD
from pggan_framework.losses.wgan import WGANGP
from pggan_framework.networks import (
    AutoencoderDiscriminator,
    Discriminator,
    Generator,
    ProjectionDiscriminator,
    describe,
)
from pggan_framework.networks.layers import ScaledConv, ScaledLinear
from pggan_framework.networks.norms import LocalResponseNorm, SpectralNorm
from pggan_framework.runs.folders import snapshots
from pggan_framework.schedules.growth import Growth
from pggan_framework.training.checkpoint import load_checkpoint
from pggan_framework.training.ema import EMA

SMALL: dict[str, Any] = {"fmap_base": 64, "fmap_max": 8}
NORMS = ["batch", "instance", "layer", "local_response"]


def generator(shape: Any = (2, 16, 16), **options: Any) -> Generator:
    torch.manual_seed(0)
    return _stirred(Generator(shape, latent_size=6, **SMALL, **options))


def discriminator(shape: Any = (2, 16, 16), **options: Any) -> Discriminator:
    torch.manual_seed(0)
    return _stirred(Discriminator(shape, **SMALL, **options))


def _stirred(network: Any) -> Any:
    """In float64, with biases and norms' weights that are not those of the start."""
    for name, parameter in network.named_parameters():
        if name.endswith("bias") or "norm" in name:
            torch.nn.init.normal_(parameter)
    return network.double()


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def by_hand(kind: str, x: Tensor, layer: ScaledConv) -> Tensor:
    """The norm and a leaky ReLU after a convolution's output `x` [N, C, h, w]."""
    if kind == "local_response":
        x = torch.where(x > 0, x, 0.2 * x)
        out = torch.empty_like(x)
        for c in range(x.shape[1]):
            near = x[:, max(c - 2, 0) : c + 3].square().sum(1)
            out[:, c] = x[:, c] / (1 + 1e-4 * near) ** 0.75
        return out
    axes = {"batch": (0, 2, 3), "instance": (2, 3), "layer": (1, 2, 3)}[kind]
    x = (x - x.mean(axes, keepdim=True)) / (x.var(axes, correction=0, keepdim=True) + 1e-5).sqrt()
    assert layer.norm is not None
    x = x * layer.norm.weight[:, None, None] + layer.norm.bias[:, None, None]
    return torch.where(x > 0, x, 0.2 * x)


def plain(layer: ScaledConv, x: Tensor) -> Tensor:
    """The convolution alone, by PyTorch; the weights scaled by He's constant."""
    weight = layer.weight * sqrt(2 / layer.weight[0].numel())
    return F.conv2d(x, weight, layer.bias, padding=layer.weight.shape[-1] // 2)


@pytest.mark.parametrize("kind", NORMS)
@pytest.mark.parametrize("pixelnorm", [None, True])
def test_a_generator_block_by_hand(kind: Any, pixelnorm: bool | None) -> None:
    block = generator(norm=kind, pixelnorm=pixelnorm).blocks[2]
    x = normal(3, 8, 8, 8) * 20

    def pixel(x: Tensor) -> Tensor:
        return x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt() if pixelnorm else x

    first = pixel(by_hand(kind, plain(block.first, x.repeat_interleave(2, 2).repeat_interleave(2, 3)), block.first))
    torch.testing.assert_close(block(x), pixel(by_hand(kind, plain(block.second, first), block.second)))


@pytest.mark.parametrize("kind", NORMS)
@pytest.mark.parametrize("fused", [True, False])
def test_a_discriminator_block_by_hand(kind: Any, fused: bool) -> None:
    block = discriminator(norm=kind, fused_downscale=fused).blocks[2]
    x = torch.cat([normal(3, 8, 16, 16) * 20, normal(3, 8, 16, 16) + 5])
    parts = []
    for part in x.chunk(2):  # two batches, which know nothing of each other
        first = by_hand(kind, plain(block.first, part), block.first)
        second = plain(block.second, first)
        second = F.avg_pool2d(second, 2) if fused else second
        second = by_hand(kind, second, block.second)
        parts.append(second if fused else F.avg_pool2d(second, 2))
    torch.testing.assert_close(block(x, 2), torch.cat(parts))


def test_local_response_is_pytorchs() -> None:
    x = normal(2, 7, 3, 4) * 100
    torch.testing.assert_close(LocalResponseNorm()(x), F.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=1.0))
    few = normal(1, 2, 3, 3) * 100
    torch.testing.assert_close(LocalResponseNorm()(few), F.local_response_norm(few, 5, alpha=5e-4, beta=0.75, k=1.0))


def test_the_default_networks_are_what_they_were() -> None:
    torch.manual_seed(5)
    networks = Generator([2, 16, 16], latent_size=7, **SMALL), Discriminator([2, 16, 16], **SMALL)
    digest = hashlib.sha256()
    for network in networks:
        for name, value in network.state_dict().items():
            digest.update(name.encode() + value.numpy().tobytes())
    assert digest.hexdigest()[:16] == "d710651d74d5ace1"
    torch.manual_seed(7)
    G, D = (network.double() for network in networks)
    pictures = G(normal(6, 7))
    assert float(pictures.detach().square().mean()) == pytest.approx(0.39099315, rel=1e-6)
    assert float(D(pictures).detach().mean()) == pytest.approx(-0.07927761, rel=1e-6)


def test_pixel_norm_gives_way_to_a_norm_unless_it_is_asked_for() -> None:
    def switches(**options: Any) -> set[bool]:
        return {block.pixelnorm for block in generator(**options).blocks}

    assert switches() == {True} and switches(pixelnorm=False) == {False}
    assert switches(norm="layer") == {False} and switches(norm="layer", pixelnorm=True) == {True}


@pytest.mark.parametrize("kind", ["instance", "layer", "local_response"])
@pytest.mark.parametrize("spectral", [False, True])
def test_depths_go_over_into_each_other(kind: Any, spectral: bool) -> None:
    G, D = generator(norm=kind, spectral_norm=spectral).eval(), discriminator(norm=kind, spectral_norm=spectral).eval()
    z = normal(4, 6)
    for depth in (1, 2):
        x = normal(4, *G.growth.shape_at(depth))
        G.depth = D.depth = depth - 1
        G.alpha = D.alpha = 1
        image, score = G(z), D(F.avg_pool2d(x, 2))
        G.depth = D.depth = depth
        G.alpha = D.alpha = 0
        torch.testing.assert_close(G(z), image.repeat_interleave(2, 2).repeat_interleave(2, 3), rtol=0, atol=1e-12)
        torch.testing.assert_close(D(x), score, rtol=0, atol=1e-12)
        G.alpha = D.alpha = 1 - 1e-9
        almost = G(z), D(x)
        G.alpha = D.alpha = 1
        torch.testing.assert_close(almost, (G(z), D(x)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", NORMS)
def test_parts_judged_together_are_judged_as_if_alone(kind: Any) -> None:
    D = discriminator(norm=kind)
    a, b = normal(4, 2, 16, 16), 3 * normal(4, 2, 16, 16)
    first, second = D.judge(torch.cat([a, b]), parts=2).split(2)
    torch.testing.assert_close(first.scores, D(a))
    torch.testing.assert_close(second.scores, D(b))
    alone = discriminator(norm=kind, mbstd="none")
    assert torch.allclose(alone(a)[:1], alone(a[:1])) == (kind != "batch")


def test_batch_norm_makes_samples_with_averages() -> None:
    G, ema = generator(norm="batch"), EMA()
    ema.attach(G)
    for _ in range(3):
        G(normal(8, 6))
    ema.update(G, 1000, 8)
    z = normal(4, 6)
    torch.testing.assert_close(ema.generator(z)[:1], ema.generator(z[:1]))
    assert not torch.allclose(G(z)[:1], G(z[:1]))


def effective(layer: Any) -> Tensor:
    """What a layer multiplies with, as a matrix, after one more step of power iteration."""
    weight: Tensor = layer.spectral(layer.weight * layer.scale)
    return weight.flatten(1)


def largest_after_iteration(layer: Any) -> float:
    """The largest singular value of what a layer multiplies with, after as many steps as it needs, 300 at most."""
    for _ in range(15):
        for _ in range(19):
            effective(layer)
        largest = float(torch.linalg.svdvals(effective(layer))[0])
        if abs(largest - 1) < 0.005:
            break
    return largest


@pytest.mark.parametrize("wscale", [True, False])
def test_spectral_norm_bounds_every_weight(wscale: bool) -> None:
    space, labels = collect({"kind": ["a", "b", "c", "a"]})
    one_hot = torch.from_numpy(space.one_hot(labels)).double()
    G = generator(wscale=wscale, spectral_norm=True)
    D = discriminator(wscale=wscale, spectral_norm=True, label_space=space)
    P = _stirred(ProjectionDiscriminator([2, 16, 16], space, wscale, True, **SMALL))
    A = _stirred(AutoencoderDiscriminator([2, 16, 16], hidden_size=5, wscale=wscale, spectral_norm=True, **SMALL))
    with torch.no_grad():
        for depth in range(3):
            for network in (G, D, P, A):
                network.depth = depth
            x = normal(4, *G.growth.shape_at(depth))
            before = [m.direction.clone() for n in (G, D, P, A) for m in n.modules() if isinstance(m, SpectralNorm)]
            for verdict in (G(normal(1, 6)), D(x), P(x, one_hot), A(x)):
                assert verdict.isfinite().all()
            after = [m.direction for n in (G, D, P, A) for m in n.modules() if isinstance(m, SpectralNorm)]
            assert sum(not torch.equal(*pair) for pair in zip(before, after, strict=True)) > 10 + 10 * depth
    for network in (G, D, P, A):
        weights = [m for m in network.modules() if isinstance(getattr(m, "weight", None), torch.nn.Parameter)]
        assert len(weights) == sum(isinstance(m, SpectralNorm) for m in network.modules()) > 5
        with torch.no_grad():
            for layer in weights:
                assert largest_after_iteration(layer) == pytest.approx(1, abs=0.01)


def test_a_spectral_layer_computes_with_the_divided_weight() -> None:
    conv, dense = ScaledConv(3, 4, 3, spectral=True).double().eval(), ScaledLinear(3, 4, spectral=True).double().eval()
    for layer, x in ((conv, normal(2, 3, 6, 6)), (dense, normal(2, 3))):
        u = layer.spectral.direction
        matrix = (layer.weight * layer.scale).flatten(1)
        v = matrix.T @ u / (matrix.T @ u).norm()
        sigma = (matrix @ v).norm()  # one step of power iteration
        weight = layer.weight * layer.scale / sigma
        expected = F.conv2d(x, weight, padding=1) if layer is conv else x @ weight.T
        torch.testing.assert_close(layer(x), expected)
    up = ScaledConv(3, 4, 3, spectral=True, up=(2, 2)).double().eval()
    same = ScaledConv(3, 4, 3, spectral=True).double().eval()
    same.load_state_dict(up.state_dict())
    x = normal(1, 3, 4, 4)
    torch.testing.assert_close(up(x), same(x.repeat_interleave(2, 2).repeat_interleave(2, 3)))


@pytest.mark.parametrize("kind", [*NORMS, "spectral"])
def test_gradients_are_right_at_both_orders(kind: str) -> None:
    options: Any = {"spectral_norm": True} if kind == "spectral" else {"norm": kind}
    D = _stirred(Discriminator(Growth.of([1, 4, 4], seed=[2, 2]), fmap_base=4, fmap_max=2, mbstd="none", **options))
    D.eval()
    x = normal(2, 1, 4, 4).requires_grad_()
    assert torch.autograd.gradcheck(D, x)
    assert torch.autograd.gradgradcheck(D, x, atol=1e-4, fast_mode=True)


@pytest.mark.parametrize("kind", [*NORMS, "spectral"])
def test_an_unrolled_discriminator_may_be_penalized(kind: str) -> None:
    options: Any = {"spectral_norm": True} if kind == "spectral" else {"norm": kind}
    G, D = generator((1, 8, 8), **options), discriminator((1, 8, 8), **options)
    adam = torch.optim.Adam(D.parameters(), 0.01)
    loss = UnrolledD(WGANGP(), steps=1)
    loss.total(StepContext("G", G, D, normal(4, 6), normal(4, 1, 8, 8), D_optimizer=adam)).backward()
    used = {name for name, p in G.named_parameters() if p.grad is not None and p.grad.isfinite().all()}
    assert used == {name for name, _ in G.named_parameters() if not name.startswith("to_rgb.0")}


def test_block_dropout_drops_values_of_each_block_while_training() -> None:
    D = discriminator(block_dropout=0.5)
    assert not any(isinstance(m, torch.nn.Dropout) for m in D.blocks[0].modules())
    x = normal(4, 2, 16, 16)
    assert not torch.equal(D(x), D(x))
    for depth in (1, 2):
        size = 2 ** (depth + 2)
        dropped = D.blocks[depth](normal(16, 8, size, size), 1)
        assert float((dropped == 0).double().mean()) == pytest.approx(0.5, abs=0.05)
    D.eval()
    torch.testing.assert_close(D(x), discriminator()(x))


@pytest.mark.parametrize("kind", NORMS)
def test_tables_hold_every_parameter(kind: Any) -> None:
    for network in (generator(norm=kind, spectral_norm=True), discriminator(norm=kind, spectral_norm=True)):
        rows = describe(network)
        assert sum(row[2] for row in rows) == sum(p.numel() for p in network.parameters())
        assert all(row[1] != "unused" for row in rows)


def test_heirs_pass_the_switches_on() -> None:
    space, _ = collect({"kind": ["a", "b"]})
    P = ProjectionDiscriminator([1, 8, 8], space, norm="layer", dropout=0.1, block_dropout=0.2, **SMALL)
    A = AutoencoderDiscriminator([1, 8, 8], norm="layer", dropout=0.1, block_dropout=0.2, **SMALL)
    for network in (P, A):
        assert network.blocks[1].second.norm.kind == "layer"
        assert network.blocks[1].dropout.p == 0.2 and network.blocks[0].dropout.p == 0.1
    assert A.decoder.blocks[1].first.norm.kind == "layer"


@pytest.mark.parametrize("cls", [Discriminator, AutoencoderDiscriminator])
def test_limits_are_told(cls: Any) -> None:
    for name in ("dropout", "block_dropout"):
        with pytest.raises(UserError, match=f"^{cls.__name__}.{name} 1.0 is not allowed; allowed: 0 .off. to below 1"):
            cls([1, 8, 8], **{name: 1.0})
    growth = Growth.of([1, 4, 4], seed=[1, 1])
    for network in (Generator, cls):
        with pytest.raises(UserError, match=f"^{network.__name__}.norm instance needs a seed block of several pixels"):
            network(growth, norm="instance")


RUN: dict[str, Any] = {
    **TONES,
    "progressive_growing": False,
    "TonesDataset.n_fft": 16,
    "TonesDataset.hop_length": 8,
    "exp_name": "short",
    "total_kimg": 0.008,
}


@pytest.mark.parametrize("kind", NORMS)
def test_every_norm_trains_from_the_flags(kind: str, tmp_path: Path) -> None:
    flags = {"Generator.norm": kind, "Discriminator.norm": kind, "Discriminator.block_dropout": 0.1}
    result = run(overrides={**RUN, **flags, "result_dir": str(tmp_path)})
    assert result.nimg == 8 and all(isfinite(value) for value in result.stats.values())


def test_spectral_norm_goes_on_bit_for_bit(tmp_path: Path) -> None:
    flags = {**RUN, "Generator.spectral_norm": True, "Discriminator.spectral_norm": True, "loss": "HingeGAN"}
    whole = run(overrides={**flags, "total_kimg": 0.016, "result_dir": str(tmp_path / "a")})
    part = run(overrides={**flags, "result_dir": str(tmp_path / "b")})
    run(overrides={"resume": str(part.path), "total_kimg": 0.016})
    first, second = (load_checkpoint(snapshots(path)[-1]) for path in (whole.path, part.path))
    for network in ("G", "D"):
        mine, theirs = (state["networks"][network] for state in (first, second))
        assert any(name.endswith("spectral.direction") for name in mine)
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    directions = [name for name in first["ema"] if name.endswith("direction")]
    assert directions and all(torch.equal(first["ema"][n], first["networks"]["G"][n]) for n in directions)
    assert all(isfinite(value) for value in whole.stats.values())
