"""Activation checkpointing: the gradients of every order stay unchanged, and less is kept."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from maps import random_maps, space_of
from torch import Tensor, nn

from pggan_framework.labels.attributes import Attribute, LabelSpace
from pggan_framework.losses import BEGAN, R1, WGANGP, HingeGAN, UnrolledD
from pggan_framework.losses.auxiliary import AuxiliaryClassifier
from pggan_framework.losses.base import Loss
from pggan_framework.losses.context import Side, StepContext
from pggan_framework.networks import (
    AutoencoderDiscriminator,
    DCGANDiscriminator,
    DCGANGenerator,
    Discriminator,
    Generator,
    MapDiscriminator,
    SPADEGenerator,
)
from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase
from pggan_framework.networks.execution import LARGE, Execution
from pggan_framework.networks.folding import Folding
from pggan_framework.training.costing import Ledger
from pggan_framework.training.graphs import Captures, weights_of
from pggan_framework.training.step import backward

SPACE = LabelSpace((Attribute("kind", ("a", "b", "c")),))
GP = WGANGP(iwass_epsilon=0.1) + R1().terms
SMALL: dict[str, Any] = {"fmap_base": 32, "fmap_max": 4}
Networks = tuple[GeneratorBase, DiscriminatorBase]
Results = tuple[dict[str, Tensor], dict[str, Tensor]]


def networks(D: type = Discriminator, G: dict[str, Any] | None = None, **options: Any) -> Networks:
    torch.manual_seed(0)
    space = options.pop("label_space", None)
    generator = Generator([3, 16, 16], latent_size=5, label_space=space, **SMALL, **(G or {}))
    return generator.double(), D([3, 16, 16], label_space=space, **SMALL, **options).double()


def dcgan() -> Networks:
    torch.manual_seed(0)
    options: dict[str, Any] = {"fmap_base": 4, "fmap_max": 4}
    G = DCGANGenerator([3, 16, 16], latent_size=5, norm="batch", dropout=0.2, **options)
    return G.double(), DCGANDiscriminator([3, 16, 16], norm="spectral", **options).double()


def mapped() -> Networks:
    torch.manual_seed(0)
    space = space_of(random_maps(4))
    G = SPADEGenerator([3, 16, 16], latent_size=5, hidden=4, label_space=space, **SMALL)
    return G.double(), MapDiscriminator([3, 16, 16], label_space=space, **SMALL).double()


def results(G: GeneratorBase, D: DiscriminatorBase, loss: Loss, side: Any) -> Results:
    """Gradients, and everything else an update leaves."""
    torch.manual_seed(1)
    reals = torch.rand(4, *G.growth.shape_at(G.depth), dtype=torch.float64)
    latents = torch.randn(4, G.latent_size, dtype=torch.float64)
    space = G.label_space
    labels = None if space is None else torch.from_numpy(space.condition(np.zeros((4, 1)), G.size)).double()
    adam = torch.optim.Adam(D.parameters(), 0.01)
    context = StepContext(side, G, D, latents, reals, labels, D_optimizer=adam)
    own = G if side == "G" else D
    for network in (G, D):
        network.zero_grad(set_to_none=True)
        network.requires_grad_(network is own)
    backward(loss, context)
    buffers = {f"{n}.{name}": b.clone() for n, one in (("G", G), ("D", D)) for name, b in one.named_buffers()}
    gradients = {name: p.grad for name, p in own.named_parameters() if p.grad is not None}
    return gradients, {**buffers, **context.stats, "next": torch.rand(2)}


def assert_equal(mine: Results, theirs: Results) -> None:
    assert mine[0] and all(a.keys() == b.keys() for a, b in zip(mine, theirs, strict=True))
    for a, b in zip(mine, theirs, strict=True):
        for name, value in b.items():
            assert (a[name] - value).abs().max() <= 1e-12 * max(1.0, float(value.abs().max())), name


@pytest.mark.parametrize(("depth", "alpha"), [(0, 1.0), (1, 0.3), (2, 1.0), (2, 0.6)])
@pytest.mark.parametrize("pixels", [0, 256], ids=["all", "the largest"])
def test_gradients_are_equal_at_every_depth(depth: int, alpha: float, pixels: int) -> None:
    G, D = networks()
    for network in (G, D):
        network.depth, network.alpha = depth, alpha
    for side in "DG":
        expected = results(G, D, GP, side)
        for network in (G, D):
            network.execute(Execution(recompute_from=pixels))
        assert_equal(results(G, D, GP, side), expected)
        for network in (G, D):
            network.execute(Execution())


CASES: dict[str, tuple[Loss, Callable[[], Networks]]] = {
    "spectral norm": (GP, partial(networks, spectral_norm=True)),
    "dropout": (HingeGAN() + R1().terms, partial(networks, block_dropout=0.3)),
    "labels": (GP + AuxiliaryClassifier().terms, partial(networks, label_space=SPACE, norm="layer")),
    "batch norm": (HingeGAN(), partial(networks, norm="batch", G={"norm": "batch"})),
    "BEGAN": (BEGAN(), partial(networks, AutoencoderDiscriminator)),
    "steps ahead": (UnrolledD(WGANGP(), steps=2), networks),
    "DCGAN": (HingeGAN(), dcgan),
    "SPADE": (GP, mapped),
}


@pytest.mark.parametrize("case", CASES)
def test_what_blocks_draw_and_count_is_drawn_and_counted_once(case: str) -> None:
    loss, make = CASES[case]
    G, D = make()
    found: list[list[Results]] = []
    for network in (G, D):
        network.checkpoint_activations("always")
    again = copy.deepcopy((G, D))
    for network in (G, D):
        network.checkpoint_activations("never")
    for pair in ((G, D), again):
        found.append([results(*pair, copy.deepcopy(loss), side) for side in "DG"])
    for mine, theirs in zip(found[1], found[0], strict=True):
        assert_equal(mine, theirs)


def test_a_gradient_can_be_differentiated_again() -> None:
    found = []
    for mode in ("never", "always"):
        G, D = networks(mbstd_group=2)
        D.checkpoint_activations(mode)  # type: ignore[arg-type]
        x = torch.rand(4, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).requires_grad_()
        for _ in range(2):  # kernels made in each pass, and shared by both
            folding = Folding(D)
            (slopes,) = torch.autograd.grad(D(x).sum(), x, create_graph=True)
            total = slopes.square().sum() + D(x).square().sum()
            total.backward()  # type: ignore[no-untyped-call]
            folding.end()
        assert x.grad is not None
        found.append([x.grad, *(p.grad for p in D.parameters() if p.grad is not None)])
    assert len(found[0]) == len(found[1]) > 10
    for kept, again in zip(*found, strict=True):
        assert (kept - again).abs().max() <= 1e-12 * max(1.0, float(kept.abs().max()))


def kept_bytes(G: GeneratorBase, D: DiscriminatorBase, side: Any) -> int:
    """What the forward passes of an update keep for the backward pass, but for weights."""
    kept: dict[int, int] = {}
    weights = {p.data_ptr() for n in (G, D) for p in n.parameters()}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    reals = torch.rand(4, *G.growth.shape, dtype=torch.float64)
    context = StepContext(side, G, D, torch.randn(4, 5, dtype=torch.float64), reals)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        held = HingeGAN().total(context)
    assert held.requires_grad
    return sum(kept.values())


def test_less_is_kept() -> None:
    G, D = networks()
    for side in "DG":
        usual = kept_bytes(G, D, side)
        for network in (G, D):
            network.checkpoint_activations("always")
        assert kept_bytes(G, D, side) < 0.5 * usual
        for network in (G, D):
            network.checkpoint_activations("large")  # 16x16 is small
        assert kept_bytes(G, D, side) == usual


@pytest.mark.parametrize(
    ("options", "samples"), [({}, 1), ({"norm": "layer"}, 1), ({"norm": "batch"}, 4), ({"block_dropout": 0.1}, 4)]
)
def test_samples_are_computed_again_one_by_one_where_they_are_apart(options: dict[str, Any], samples: int) -> None:
    _, D = networks(**options)
    D.checkpoint_activations("always")
    seen: list[int] = []
    assert isinstance(D.blocks, nn.ModuleList)
    for block in D.blocks[1:]:
        block.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    D(torch.rand(4, 3, 16, 16, dtype=torch.float64)).sum().backward()
    # Two blocks, forward and again.
    assert seen == [samples] * (16 // samples)


def test_large_is_512_by_512() -> None:
    G = Generator([1, 1024, 1024], fmap_base=16, fmap_max=1, latent_size=1)
    G.checkpoint_activations("large")
    assert LARGE == 512**2 and [G.recomputes(depth) for depth in range(9)] == [False] * 7 + [True] * 2
    G.checkpoint_activations("never")
    assert not any(G.recomputes(depth) for depth in G.depths)
    autoencoder = AutoencoderDiscriminator([1, 16, 16], **SMALL)
    autoencoder.checkpoint_activations("always")
    assert autoencoder.decoder.recomputes(0)


def test_samples_keep_nothing_anyway(monkeypatch: pytest.MonkeyPatch) -> None:
    G, _ = networks()
    z = torch.randn(2, 5, dtype=torch.float64)
    with torch.no_grad():
        expected = G(z)
        G.checkpoint_activations("always")
        monkeypatch.setattr("pggan_framework.networks.recompute.checkpoint", pytest.fail)
        assert torch.equal(G(z), expected)


@pytest.mark.parametrize("side", ["D", "G"])
def test_a_captured_graph_recomputes_too_and_keeps_less(side: Side) -> None:
    peaks, gradients = [], []
    for mode in ("never", "always"):
        said: list[str] = []
        G, D = networks()
        for network in (G, D):
            network.checkpoint_activations(mode)  # type: ignore[arg-type]
        captures = Captures(lambda graph: graph, said.append)
        torch.manual_seed(0)
        reals = torch.rand(4, 3, 16, 16, dtype=torch.float64) if side == "D" else None
        mixing = torch.rand(4, 1, 1, 1, dtype=torch.float64) if side == "D" else None
        context = StepContext(side, G, D, torch.randn(4, 5, dtype=torch.float64), reals, mixing=mixing)
        captures(HingeGAN(), context)  # compared with eager autograd before it is used
        assert not said
        gradients.append([p.grad for p in (G if side == "G" else D).parameters() if p.grad is not None])
        (graph,) = captures.graphs.values()
        assert graph is not None
        with Ledger() as ledger:
            graph.run(graph.update.inputs(context, weights_of(HingeGAN(), context)))
        peaks.append(ledger.peak)
    assert peaks[1] < 0.8 * peaks[0]
    for kept, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(recomputed, kept, rtol=1e-11, atol=1e-12)
