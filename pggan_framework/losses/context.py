"""The context of one update: networks, reals, fakes, D's scores and their gradients, and the training progress."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor
from torch.optim import Optimizer

from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase, Verdict
from pggan_framework.networks.torch_private import shallow_copy

Side = Literal["D", "G"]
"""Which network an update or a term trains."""

Need = Literal[
    "reals",
    "fakes",
    "real_verdict",
    "fake_verdict",
    "interpolates",
    "real_gradients",
    "fake_gradients",
    "interpolate_gradients",
]
"""What a term may need of an update, by the names of the context's attributes."""

NEEDS: tuple[Need, ...] = get_args(Need)
POINTS: Mapping[Need, Need] = {
    "real_gradients": "reals",
    "fake_gradients": "fakes",
    "interpolate_gradients": "interpolates",
}
"""Gradients of D's score, and the images at which they are taken."""


@dataclass(frozen=True)
class Progress:
    """The training progress before an update.

    Args:
        nimg: real images shown.
        updates: how often the network being updated was updated.
    """

    nimg: int = 0
    updates: int = 0


START = Progress()
"""Before the first update."""


class StepContext:
    """The context of one update. `compute` adds what the terms need as attributes.

    In D's update the fakes carry no gradient; in G's they do.

    Args:
        side: which network is updated.
        G: the generator.
        D: the discriminator.
        latents: [N, F].
        reals: [N, C, h, w], faded and augmented already; None where the update sees none.
        labels: [N, width] of the fakes, and of the reals where there are any: both have the same.
        mixing: [N, 1, 1, 1] in [0, 1], where each interpolate is between its real and its fake; drawn if not given.
        progress: how far training has come.
        fakes: [N, C, h, w], where they are made, and augmented, already.
        D_optimizer: what D is trained by, for a loss that looks ahead.
        augment: what fakes go through before any term or D sees them; as the reals have.
        weights: of the terms, by name, where they are not to be asked; those that are not in it are not computed.
        share: what its gradients are multiplied by before they are added to those in the weights: its fraction of the
            batch.
    """

    fakes: Tensor
    """[N, C, h, w] made from the latents, as D is to see them."""
    real_verdict: Verdict
    """D's scores [N] and features [N, F] of the reals."""
    fake_verdict: Verdict
    """The same of the fakes."""
    interpolates: Tensor
    """[N, C, h, w], each on the line between a real and a fake."""
    real_gradients: Tensor
    """[N, C, h, w], the gradient of D's score at each real, itself differentiable in D's weights."""
    fake_gradients: Tensor
    """The same at each fake."""
    interpolate_gradients: Tensor
    """The same at each interpolate."""

    def __init__(
        self,
        side: Side,
        G: GeneratorBase,
        D: DiscriminatorBase,
        latents: Tensor,
        reals: Tensor | None = None,
        labels: Tensor | None = None,
        mixing: Tensor | None = None,
        progress: Progress = START,
        fakes: Tensor | None = None,
        D_optimizer: Optimizer | None = None,
        augment: Callable[[Tensor], Tensor] | None = None,
        weights: Mapping[str, Tensor] | None = None,
        share: float = 1.0,
    ) -> None:
        self.side = side
        self.G, self.D = G, D
        self.latents, self.labels, self.mixing = latents, labels, mixing
        self.progress, self.D_optimizer, self.augment = progress, D_optimizer, augment
        self.weights, self.share = weights, share
        if reals is not None:
            self.reals = reals
        if fakes is not None:
            self.fakes = fakes
        self.stats: dict[str, Tensor] = {}
        self.average: Callable[[Tensor], Tensor] = lambda value: value
        """A mean over this rank's part of the batch -> that over the whole batch."""

    def log(self, name: str, value: Tensor) -> None:
        """Log a scalar, detached from the graph."""
        self.stats[name] = value.detach()

    def has(self, need: Need) -> bool:
        """Whether it is given or computed."""
        return need in self.__dict__

    def compute(self, needs: Collection[Need]) -> None:
        """Compute what terms need, each once, in this order: fakes, D's scores, gradients of D's score.

        Args:
            needs: of all terms that are evaluated next; what is there already stays.

        Raises:
            RuntimeError: if reals are needed and the update was given none.
        """
        due = {need for need in needs if need not in self.__dict__}
        due |= {POINTS[need] for need in due if need in POINTS and POINTS[need] not in self.__dict__}
        if "interpolates" in due:
            due.add("fakes")
        if due & {"real_verdict", "reals", "interpolates"} and "reals" not in self.__dict__:
            raise RuntimeError(f"the update of {self.side} was given no reals")

        if due & {"fakes", "fake_verdict"} and "fakes" not in self.__dict__:
            # x_f = G(z). D's update does not train G, so that no graph is kept there.
            with torch.set_grad_enabled(self.side == "G"):
                self.fakes = self.generate()

        if {"real_verdict", "fake_verdict"} <= due and self.side == "D" and not self.D.execution.reference:
            # D(x_r) and D(x_f) in one pass, which is faster than two; what D computes over a batch is kept apart.
            both = self.judge(torch.cat([self.reals, self.fakes]), 2)
            self.real_verdict, self.fake_verdict = both.split(2)
        else:
            # G's update: while D is held fixed, no gradient passes through what it says of reals, so no graph is kept.
            if "real_verdict" in due:
                self.real_verdict = self.judge(self.reals)
            if "fake_verdict" in due:
                self.fake_verdict = self.judge(self.fakes)

        if "interpolates" in due:
            # x_i = x_r + t (x_f - x_r), t uniform in [0, 1], one for each pair.
            like, mixing = self.reals, self.mixing
            if mixing is None:
                mixing = torch.rand(like.shape[0], 1, 1, 1, device=like.device, dtype=like.dtype)
            self.interpolates = torch.lerp(self.reals, self.fakes, mixing)
        for need, points in POINTS.items():
            if need in due:
                setattr(self, need, self.score_gradients(getattr(self, points)))

    def __getattr__(self, name: str) -> Any:
        """Compute what a term uses without having declared it in `Term.needs`."""
        if name not in NEEDS:
            raise AttributeError(f"StepContext has no attribute '{name}'")
        # D's scores of reals and fakes come together, as for a term that declares nothing.
        need: Need = name
        pair = self.side == "D" and name in ("real_verdict", "fake_verdict") and self.has("reals")
        self.compute(("real_verdict", "fake_verdict") if pair else (need,))
        return self.__dict__[name]

    def _precision(self, low: bool = True) -> AbstractContextManager[None]:
        """Within it the networks compute in the update's precision or, unless it may be `low`, in float32."""
        precision = self.D.execution.precision
        if precision == torch.float32:
            return nullcontext()
        return cast(AbstractContextManager[None], torch.autocast(self.latents.device.type, precision, low))

    def generate(self) -> Tensor:
        """Images [N, C, h, w] generated from the latents, in the update's precision, augmented for D."""
        with self._precision():
            fakes: Tensor = self.G(self.latents, self.labels)
        fakes = fakes if self.D.execution.precision == torch.float32 else fakes.float()
        return fakes if self.augment is None else self.augment(fakes)

    def judge(self, images: Tensor, parts: int = 1) -> Verdict:
        """D's output on images [N * parts, C, h, w] with the update's labels, in the update's precision.

        Args:
            images: as D is to see them.
            parts: how many batches they are; each has the labels, and what D computes over a batch stays within each.
        """
        labels = self.labels if self.labels is None or parts == 1 else torch.cat([self.labels] * parts)
        with self._precision():
            verdict = self.D.judge(images, labels, parts)
        return verdict if self.D.execution.precision == torch.float32 else verdict.float()

    def score_gradients(self, images: Tensor) -> Tensor:
        """Grad D(x) [N, C, h, w] at images x, differentiable in D's weights, in float32 whatever the precision."""
        # A separate node: if a loss looks ahead, D's weights depend on the fakes too.
        points = images.view_as(images) if images.requires_grad else images.detach().requires_grad_()
        D = self.D
        if D.execution.recompute_from is not None:
            # What a gradient that is differentiated again is computed from is kept for that anyway: recomputing it
            # would only add copies.
            D = shallow_copy(D, {D: {"execution": replace(D.execution, recompute_from=None)}})
        with self._precision(low=False):
            scores = D.judge(points, self.labels).scores
        (gradients,) = torch.autograd.grad(scores, points, torch.ones_like(scores), create_graph=True)
        return gradients
