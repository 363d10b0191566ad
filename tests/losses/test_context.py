"""What an update computes: only what its terms need, each thing once, in the precision of the networks."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from pggan_framework.losses import (
    R1,
    R2,
    WGANGP,
    Consistency,
    Drift,
    GradientPenalty,
    Loss,
    Progress,
    StepContext,
    Term,
    UnrolledD,
)
from pggan_framework.losses.context import NEEDS, POINTS
from pggan_framework.networks import Discriminator, Generator
from pggan_framework.networks.execution import Execution
from pggan_framework.training.step import backward

SMALL: dict[str, Any] = {"fmap_base": 32, "fmap_max": 8}


class Counted(Discriminator):
    """Keeps the number of images of each pass, and the type its scores are computed in."""

    passes: ClassVar[list[tuple[int, torch.dtype]]] = []

    def judge(self, images: Tensor, labels: Tensor | None = None, parts: int = 1) -> Any:
        found = super().judge(images, labels, parts)
        self.passes.append((len(images), found.scores.dtype))
        return found


def update(side: Any = "D", **options: Any) -> StepContext:
    torch.manual_seed(0)
    G, D = Generator([1, 8, 8], latent_size=3, **SMALL), Counted([1, 8, 8], **SMALL, **options)
    Counted.passes.clear()
    return StepContext(side, G, D, torch.randn(4, 3), torch.randn(4, 1, 8, 8))


class Undeclared(Term):
    """Says nothing of what it needs, as terms written before one could."""

    name, side = "undeclared", "D"

    def __call__(self, context: StepContext) -> Tensor:
        return context.fake_gradients.square().mean() + context.fake_verdict.scores.mean()


class Terms(Loss):
    def __init__(self, *terms: Term) -> None:
        self._terms = terms

    @property
    def terms(self) -> tuple[Term, ...]:
        return self._terms


@pytest.mark.parametrize(
    ("terms", "passes"),
    [
        ([Drift()], [4]),  # reals alone; no fakes are made
        (WGANGP().terms, [8, 4]),  # reals and fakes together, then interpolates
        ([*WGANGP().terms, R1(), R2(), GradientPenalty()], [8, 4, 4, 4]),  # two terms share the interpolates' gradient
        ([R2()], [4]),
        ([Undeclared()], [8, 4]),
    ],
    ids=["drift", "WGAN-GP", "all gradients", "fakes' gradient", "undeclared"],
)
def test_what_terms_need_is_computed_once_and_nothing_else(terms: Any, passes: list[int]) -> None:
    context = update()
    backward(Terms(*terms), context)
    assert [count for count, _ in Counted.passes] == passes
    assert not any(context.has(need) for need in POINTS)  # they take the most memory, and are let go


def test_reals_that_an_update_does_not_have_are_an_error() -> None:
    context = update("G")
    bare = StepContext("G", context.G, context.D, context.latents)
    for need in set(NEEDS) - {"fakes", "fake_verdict", "fake_gradients"}:
        with pytest.raises(RuntimeError, match="the update of G was given no reals"):
            bare.compute((need,))
    with pytest.raises(AttributeError, match="no attribute 'verdict'"):
        bare.verdict  # noqa: B018


@pytest.mark.parametrize(
    "loss", [Terms(Consistency()), UnrolledD(WGANGP(iwass_lambda=0), steps=1)], ids=["CT", "unrolled"]
)
def test_every_term_judges_in_the_precision_of_the_run(loss: Loss) -> None:
    side = "D" if isinstance(loss, Terms) else "G"
    context = update(side, dropout=0.5)
    context.D_optimizer = torch.optim.Adam(context.D.parameters())
    for network in (context.G, context.D):
        network.execute(Execution(torch.bfloat16))
    backward(loss, context)
    assert len(Counted.passes) >= 2 and {dtype for _, dtype in Counted.passes} == {torch.bfloat16}


def test_gradients_that_are_differentiated_again_are_in_float32() -> None:
    context = update()
    context.D.execute(Execution(torch.bfloat16))
    assert context.real_gradients.dtype == torch.float32
    assert Counted.passes == [(4, torch.float32)]


def test_progress_is_that_of_the_start_by_default() -> None:
    assert update().progress == Progress(0, 0)
