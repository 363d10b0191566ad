"""Gradients: the plain operations, the quick ones and the captured graph agree, whatever is being trained."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Any

import pytest
import torch

from pggan_framework.labels.attributes import collect
from pggan_framework.losses import BEGAN, WGANGP, StandardGAN
from pggan_framework.losses.auxiliary import AuxiliaryClassifier
from pggan_framework.losses.base import Loss, Term
from pggan_framework.losses.context import Progress, StepContext
from pggan_framework.losses.diversity import PullAway
from pggan_framework.losses.gradient_penalties import R1, GradientPenalty
from pggan_framework.losses.unrolled import UnrolledD
from pggan_framework.networks import Discriminator, Generator
from pggan_framework.networks.execution import Execution
from pggan_framework.schedules.growth import Growth
from pggan_framework.training.graphs import Captures, obstacle
from pggan_framework.training.step import backward

SMALL = {"fmap_base": 64, "fmap_max": 8}
RECTANGLE = Growth(2, (2, 8), ((False, True), (True, True), (True, False)))
SPACE, LABELS = collect({"pitch": [60, 61, 62, 60, 61, 62], "who": list("abbabb")})
LOSS = WGANGP(iwass_epsilon=0.1) + AuxiliaryClassifier().terms


def networks(shape: Any, dtype: torch.dtype = torch.float64, **options: Any) -> tuple[Generator, Discriminator]:
    torch.manual_seed(0)
    labels = {"label_space": options.pop("label_space", None)}
    G = Generator(shape, latent_size=6, **SMALL, **labels)
    D = Discriminator(shape, **SMALL, **labels, **options)
    for network in (G, D):
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.normal_(parameter, std=0.1)
    return G.to(dtype), D.to(dtype)


@contextmanager
def reference(*networks: Any) -> Iterator[None]:
    """Within it the networks compute in PyTorch's own operations."""
    for network in networks:
        network.execute(Execution(reference=True))
    yield
    for network in networks:
        network.execute(Execution())


def context(side: str, G: Generator, D: Discriminator, **options: Any) -> StepContext:
    random = torch.Generator().manual_seed(options.pop("seed", 1))
    like = next(G.parameters())

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64).to(like)

    reals = draw(6, *G.growth.shape_at(G.depth)) if side == "D" or options.pop("reals", False) else None
    labels = None if G.label_space is None else torch.from_numpy(SPACE.one_hot(LABELS)).to(like)
    latents, mixing = draw(6, G.latent_size), draw(6, 1, 1, 1).sigmoid()
    return StepContext(side, G, D, latents, reals, labels, mixing if side == "D" else None, **options)


def gradients(source: Any, loss: Loss, one: StepContext) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    other, own = (one.G, one.D) if one.side == "D" else (one.D, one.G)
    own.zero_grad(set_to_none=True)
    other.requires_grad_(False)
    try:
        source(loss, one)
    finally:
        other.requires_grad_(True)
    return {n: p.grad.clone() for n, p in own.named_parameters() if p.grad is not None}, dict(one.stats)


def assert_same(mine: Any, theirs: Any, tolerance: float = 1e-11) -> None:
    for ours, wanted in zip(mine, theirs, strict=True):
        assert ours.keys() == wanted.keys()
        for name, value in wanted.items():
            assert (ours[name] - value).norm() <= tolerance * max(value.norm(), 1e-3), name


@pytest.mark.parametrize(
    ("shape", "fused"), [([3, 16, 16], True), (RECTANGLE, False)], ids=["square", "rectangle, activation first"]
)
def test_plain_and_quick_gradients_are_equal_at_every_depth_and_alpha(shape: Any, fused: bool) -> None:
    G, D = networks(shape, label_space=SPACE, fused_downscale=fused)
    for depth in range(G.max_depth + 1):
        for alpha in (0.0, 0.3, 1.0) if depth else (1.0,):
            for network in (G, D):
                network.depth, network.alpha = depth, alpha
            for side in ("D", "G"):
                with reference(G, D):
                    wanted = gradients(backward, LOSS, context(side, G, D))
                assert wanted[0] and (side == "G" or {"gradient_penalty", "drift", "D_label"} <= wanted[1].keys())
                assert_same(gradients(backward, LOSS, context(side, G, D)), wanted)


@pytest.mark.slow
def test_captured_gradients_are_equal_at_every_depth_and_alpha() -> None:
    G, D = networks(RECTANGLE, label_space=SPACE)  # one axis doubles, both, the other
    made: list[str] = []
    captures = Captures(lambda graph: graph, pytest.fail, made=made.append)
    for depth in range(G.max_depth + 1):
        for alpha in (0.0, 0.3, 1.0) if depth else (1.0,):
            for network in (G, D):
                network.depth, network.alpha = depth, alpha
            for side in ("D", "G"):
                with reference(G, D):
                    wanted = gradients(backward, LOSS, context(side, G, D))
                assert_same(gradients(captures, LOSS, context(side, G, D)), wanted)
    # Alpha goes in as a tensor: at each depth a graph for the fade and one for after it, for D and for G.
    assert len(made) == 2 * (2 * G.max_depth + 1)


def test_one_graph_serves_a_whole_fade() -> None:
    G, D = networks([3, 8, 8])
    captures = Captures(lambda graph: graph, pytest.fail)
    for alpha in (0.2, 0.7):
        G.alpha = D.alpha = alpha
        pair = [gradients(source, WGANGP(), context("D", G, D)) for source in (captures, backward)]
        assert_same(*pair)
    assert len(captures.graphs) == 1


def test_the_plain_operations_are_others() -> None:
    G, D = networks([3, 8, 8], torch.float32)
    z = torch.randn(4, 6)
    with reference(G, D):
        wanted = G(z)
    torch.testing.assert_close(G(z), wanted)
    assert not torch.equal(G(z), wanted)  # folded kernels round otherwise


@pytest.mark.parametrize(
    "loss",
    [
        WGANGP() + R1(interval=2).terms,
        StandardGAN(label_smoothing=0.1, label_noise=0.2, label_swap=0.1),
        StandardGAN() + PullAway().terms,
    ],
    ids=["lazy", "random targets", "diversity"],
)
def test_other_losses_are_captured_too(loss: Loss) -> None:
    G, D = networks([3, 4, 4])
    captures = Captures(lambda graph: graph, pytest.fail)
    for updates in (0, 1, 2):
        for side in ("D", "G"):
            results = []
            for source in (backward, captures):
                torch.manual_seed(3)
                results.append(gradients(source, loss, context(side, G, D, progress=Progress(0, updates))))
            assert_same(*results)
    assert all(captures.graphs.values())


def test_a_weight_that_follows_training_goes_into_the_graph() -> None:
    G, D = networks([3, 4, 4])
    loss = StandardGAN() + GradientPenalty(weight=10, schedule={0: 1, 100: 0.1}).terms
    captures = Captures(lambda graph: graph, pytest.fail)
    norms = []
    for nimg in (0, 50_000, 100_000):
        pair = [gradients(s, loss, context("D", G, D, progress=Progress(nimg))) for s in (captures, backward)]
        assert_same(*pair)
        norms.append(float(sum(g.norm() for g in pair[0][0].values())))
    assert len(captures.graphs) == 1 and len(set(norms)) == 3
    # A parameter that is a number in the graph makes another graph.
    loss.terms[-1].target = 3.0
    assert_same(*[gradients(s, loss, context("D", G, D)) for s in (captures, backward)])
    assert len(captures.graphs) == 2


def test_another_batch_or_frozen_blocks_make_another_graph() -> None:
    G, D = networks([3, 8, 8])
    captures = Captures(lambda graph: graph, pytest.fail)
    gradients(captures, WGANGP(), context("D", G, D))
    for module in D.earlier():
        module.requires_grad_(False)
    found, _ = gradients(captures, WGANGP(), context("D", G, D))
    assert len(captures.graphs) == 2
    assert not any(name.startswith("from_rgb.0") for name in found) and "blocks.1.first.weight" in found


class OfProgress(Term):
    """Looks at how far training is."""

    name, side = "of_progress", "D"

    def __call__(self, context: StepContext) -> torch.Tensor:
        return context.real_verdict.scores.mean() * context.progress.nimg


class OfValues(Term):
    """Goes another way by what a tensor holds."""

    name, side = "of_values", "D"

    def __call__(self, context: StepContext) -> torch.Tensor:
        scores = context.real_verdict.scores
        return scores.mean() if float(scores.sum()) > 0 else -scores.mean()


class OfChance(Term):
    """Draws from Python's generator."""

    name, side = "of_chance", "D"

    def __call__(self, context: StepContext) -> torch.Tensor:
        return context.real_verdict.scores.mean() * random.random()


@pytest.mark.parametrize(
    ("term", "reason"),
    [(OfProgress(), "progress.nimg"), (OfValues(), "cannot be traced"), (OfChance(), "other gradients")],
)
def test_what_no_graph_can_hold_is_computed_as_before_and_told(term: Term, reason: str) -> None:
    G, D = networks([3, 4, 4])
    said: list[str] = []
    captures = Captures(lambda graph: graph, said.append)
    loss = WGANGP() + [term]
    results = []
    for source in (backward, captures, captures):
        random.seed(1)
        results.append(gradients(source, loss, context("D", G, D, progress=Progress(2))))
        if source is captures and len(results) == 2:
            random.seed(1)
    assert_same(results[2], results[0])
    assert len(said) == 1 and said[0].startswith("D's update is not compiled, because") and reason in said[0]


def test_losses_that_cannot_be_captured_are_known_before() -> None:
    assert obstacle(WGANGP()) == ""
    assert "D_began keeps a state" in obstacle(BEGAN())
    assert "UnrolledD sums its terms" in obstacle(UnrolledD(WGANGP()))


def test_a_compiler_that_fails_is_told_and_leaves_no_trace() -> None:
    G, D = networks([3, 4, 4])
    said: list[str] = []

    def broken(graph: Any) -> Any:
        def function(*inputs: torch.Tensor) -> Any:
            raise RuntimeError("no compiler\nhere")

        return function

    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    result = gradients(Captures(broken, said.append), WGANGP(), context("D", G, D))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert_same(result, gradients(backward, WGANGP(), context("D", G, D)))
    assert said == ["D's update is not compiled, because it cannot be compiled: RuntimeError: no compiler"]


def stopwatch(compiled: float, eager: float) -> Callable[[], float]:
    """A clock by which updates take so many seconds, whatever they take."""
    spans = cycle([compiled, 0.0, eager, 0.0])
    now = 0.0

    def clock() -> float:
        nonlocal now
        before, now = now, now + next(spans)
        return before

    return clock


@pytest.mark.parametrize("compiled", [0.106, 0.116])
def test_a_graph_that_is_slower_than_eager_autograd_is_dropped(compiled: float) -> None:
    G, D = networks([3, 8, 8], torch.float32)
    G.alpha = D.alpha = 0.5
    lines: list[str] = []
    faster = compiled < 0.11
    expected = Captures(lambda graph: graph) if faster else backward
    raced = Captures(lambda graph: graph, lines.append, made=lines.append, clock=stopwatch(compiled, 0.11))
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    for _ in range(2):
        found, wanted = (gradients(source, WGANGP(), context("D", G, D)) for source in (raced, expected))
        for mine, theirs in zip(found, wanted, strict=True):
            assert mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert [graph is not None for graph in raced.graphs.values()] == [faster]
    kind = "D, 8x8 fading, 6 images, D_wasserstein, gradient_penalty, drift"
    assert raced.choices == {kind: faster}
    (line,) = lines
    if faster:
        assert line.startswith("compiled D's update at 8x8 fading in ") and line.endswith(
            ": 106.0 ms in place of 110.0"
        )
    else:
        refused = "D's update at 8x8 fading is not compiled, because eager autograd"
        assert line == f"{refused} takes 110.0 ms in place of 116.0"

    # As after a break: what was chosen once is not timed again.
    later = Captures(lambda graph: graph, lines.append, clock=pytest.fail)  # type: ignore[arg-type]
    later.choices.update(raced.choices)
    again = gradients(later, WGANGP(), context("D", G, D))[0]
    assert all(torch.equal(again[name], wanted[0][name]) for name in again)
    assert lines[1:] == ([] if faster else [f"{refused} was faster before"])


def test_a_race_leaves_accumulated_gradients() -> None:
    G, D = networks([3, 4, 4])
    results = []
    for source in (backward, Captures(lambda graph: graph, clock=stopwatch(2, 1))):
        D.zero_grad(set_to_none=True)
        for side in (1, 2):
            source(WGANGP(), context("D", G, D, seed=side, share=0.5))
        results.append({name: p.grad for name, p in D.named_parameters() if p.grad is not None})
    assert_same([results[1]], [results[0]])


def test_buffers_that_an_update_changes_change_once() -> None:
    results = []
    raced = Captures(lambda graph: graph, clock=stopwatch(1, 2))
    for source in (backward, raced):
        torch.manual_seed(0)
        G = Generator([3, 8, 8], latent_size=6, **SMALL, norm="batch").double()
        D = Discriminator([3, 8, 8], **SMALL, spectral_norm=True).double()
        pair = [gradients(source, WGANGP(), context(side, G, D)) for side in ("D", "G", "D")]
        buffers = {f"{n}.{name}": b for n, net in (("G", G), ("D", D)) for name, b in net.named_buffers()}
        results.append((pair, buffers))
    for mine, theirs in zip(results[1][0], results[0][0], strict=True):
        assert_same(mine, theirs)
    assert_same([results[1][1]], [results[0][1]])


@pytest.mark.slow
def test_compiled_code_gives_the_same() -> None:
    from pggan_framework.training.compiler import compiler

    G, D = networks([3, 4, 4], torch.float32)
    captures = Captures(compiler(torch.device("cpu")), pytest.fail)
    for seed in (1, 2):
        for side in ("D", "G"):
            pair = [gradients(s, WGANGP(), context(side, G, D, seed=seed))[0] for s in (captures, backward)]
            assert pair[0].keys() == pair[1].keys()
            mine, theirs = (torch.cat([gradient.flatten() for gradient in found.values()]) for found in pair)
            assert (mine - theirs).norm() < 1e-5 * theirs.norm()
    assert all(captures.graphs.values())


def test_bfloat16_keeps_the_penalty_in_float32() -> None:
    G, D = networks([3, 8, 8], torch.float32)
    G.alpha = D.alpha = 0.5
    loss = WGANGP()
    usual = context("D", G, D)
    scores, slopes = usual.real_verdict.scores, usual.real_gradients
    G.execute(Execution(torch.bfloat16))
    D.execute(Execution(torch.bfloat16))
    low = context("D", G, D)
    assert low.real_verdict.scores.dtype == low.fakes.dtype == low.interpolate_gradients.dtype == torch.float32
    assert not torch.equal(low.real_verdict.scores, scores)
    torch.testing.assert_close(low.real_verdict.scores, scores, rtol=0.05, atol=0.05)
    assert torch.equal(low.real_gradients, slopes)
    for side in ("D", "G"):
        found, _ = gradients(backward, loss, context(side, G, D))
        for network in (G, D):
            network.execute(Execution())
        wanted, _ = gradients(backward, loss, context(side, G, D))
        for network in (G, D):
            network.execute(Execution(torch.bfloat16))
        assert all(gradient.dtype == torch.float32 for gradient in found.values())
        ours, theirs = (torch.cat([gradient.flatten() for gradient in some.values()]) for some in (found, wanted))
        assert (ours - theirs).norm() < 0.1 * theirs.norm()


def overwriting(graph: Any) -> Any:
    """Compiles to a function that writes its results where the last call's are, as a CUDA graph does."""

    class Compiled:
        overwrites = True

        def __init__(self) -> None:
            self.kept: list[torch.Tensor] = []

        def __call__(self, *inputs: torch.Tensor) -> list[torch.Tensor]:
            found = graph(*inputs)
            self.kept = self.kept or [torch.empty_like(value) for value in found]
            for place, value in zip(self.kept, found, strict=True):
                place.copy_(value)
            return self.kept

    return Compiled()


def test_gradients_and_losses_outlive_a_cuda_graph() -> None:
    G, D = networks([3, 8, 8])
    captures = Captures(overwriting)
    loss = WGANGP()
    first = context("D", G, D)
    captures(loss, first)
    gradients = {name: p.grad for name, p in D.named_parameters() if p.grad is not None}
    before = {name: gradient.clone() for name, gradient in gradients.items()}
    stats = {name: float(value) for name, value in first.stats.items()}
    D.zero_grad(set_to_none=True)
    captures(loss, context("D", G, D, seed=7))  # what a plugin has kept of the first must not change with this
    assert all(torch.equal(gradients[name], before[name]) for name in before)
    assert {name: float(value) for name, value in first.stats.items()} == stats
    assert any(not torch.equal(p.grad, before[name]) for name, p in D.named_parameters() if p.grad is not None)
