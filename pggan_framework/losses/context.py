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
"""The network that an update or a term trains."""

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
"""Names of the context's attributes that a term may need."""

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
        nimg: number of real images shown.
        updates: number of previous updates of the network.
    """

    nimg: int = 0
    updates: int = 0


START = Progress()
"""Before the first update."""

FULL: AbstractContextManager[None] = nullcontext()
"""Within it everything is computed in the tensors' own precision."""


class StepContext:
    """The context of one update. `compute` adds what the terms need as attributes.

    In D's update, the fakes carry no gradient; in G's update, they do.

    Args:
        side: the network to update.
        G: generator that is trained.
        D: discriminator that is trained.
        latents: latents of the fakes, [N, F].
        reals: real images [N, C, h, w], already faded and augmented; None if the update does not need them.
        labels: labels [N, width] of the fakes and, if there are reals, of the reals too.
        mixing: position of each interpolate between its real and its fake, [N, 1, 1, 1] in [0, 1]; drawn if not given.
        progress: training progress.
        fakes: generated images [N, C, h, w], already augmented, if they exist.
        D_optimizer: D's optimizer, for a loss that unrolls D.
        augment: augmentation of fakes before any term or D sees them, like that of the reals.
        weights: weights of the terms by name, replacing the terms' weights; terms without an entry are not computed.
        share: fraction of the batch, by which the gradients are scaled before they are accumulated.
    """

    fakes: Tensor
    """Images [N, C, h, w] generated from the latents and augmented for D."""
    real_verdict: Verdict
    """D's scores [N] and features [N, F] of the reals."""
    fake_verdict: Verdict
    """D's scores and features of the fakes."""
    interpolates: Tensor
    """Images [N, C, h, w], each on the line between a real and a fake."""
    real_gradients: Tensor
    """The gradient [N, C, h, w] of D's score at each real, itself differentiable with respect to D's weights."""
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
        """Convert a mean over this rank's part of the batch to the mean over the whole batch."""

    def log(self, name: str, value: Tensor) -> None:
        """Log a scalar, detached from the graph."""
        self.stats[name] = value.detach()

    def has(self, need: Need) -> bool:
        """True if the attribute is given or computed."""
        return need in self.__dict__

    def compute(self, needs: Collection[Need]) -> None:
        """Compute the needs of terms, each once, in this order: fakes, D's scores, gradients of D's score.

        Args:
            needs: needs of all terms that are evaluated next; existing values are kept.

        Raises:
            RuntimeError: if reals are needed but were not given.
        """
        due = {need for need in needs if need not in self.__dict__}
        due |= {POINTS[need] for need in due if need in POINTS and POINTS[need] not in self.__dict__}
        if "interpolates" in due:
            due.add("fakes")
        if due & {"real_verdict", "reals", "interpolates"} and "reals" not in self.__dict__:
            raise RuntimeError(f"the update of {self.side} was given no reals")

        if due & {"fakes", "fake_verdict"} and "fakes" not in self.__dict__:
            # x_f = G(z). D's update does not train G, so no graph is stored.
            with torch.set_grad_enabled(self.side == "G"):
                self.fakes = self.generate()

        if {"real_verdict", "fake_verdict"} <= due and self.side == "D" and not self.D.execution.reference:
            # D(x_r) and D(x_f) in one pass, which is faster than two; batch statistics of the two stay separate.
            both = self.judge(torch.cat([self.reals, self.fakes]), 2)
            self.real_verdict, self.fake_verdict = both.split(2)
        else:
            # In G's update, D is frozen, so scores of reals need no gradient and no graph is stored.
            if "real_verdict" in due:
                self.real_verdict = self.judge(self.reals)
            if "fake_verdict" in due:
                self.fake_verdict = self.judge(self.fakes)

        if "interpolates" in due:
            # x_i = x_r + t (x_f - x_r), with t uniform in [0, 1] for each pair.
            like, mixing = self.reals, self.mixing
            if mixing is None:
                mixing = torch.rand(like.shape[0], 1, 1, 1, device=like.device, dtype=like.dtype)
            self.interpolates = torch.lerp(self.reals, self.fakes, mixing)
        for need, points in POINTS.items():
            if need in due:
                setattr(self, need, self.score_gradients(getattr(self, points)))

    def __getattr__(self, name: str) -> Any:
        """Compute a value that a term uses without declaring it in `Term.needs`."""
        if name not in NEEDS:
            raise AttributeError(f"StepContext has no attribute '{name}'")
        # D's scores of reals and fakes are computed together, as for a term without declared needs.
        need: Need = name
        pair = self.side == "D" and name in ("real_verdict", "fake_verdict") and self.has("reals")
        self.compute(("real_verdict", "fake_verdict") if pair else (need,))
        return self.__dict__[name]

    def _autocast(self, low: bool = True) -> AbstractContextManager[None]:
        """Return a context in which networks compute in the update's precision or, unless `low` is set, in float32."""
        return cast(
            AbstractContextManager[None],
            torch.autocast(self.latents.device.type, self.D.execution.precision, low),
        )

    def generate(self) -> Tensor:
        """Generate images [N, C, h, w] from the latents in the update's precision, augmented for D."""
        with FULL if self.D.execution.precision == torch.float32 else self._autocast():
            fakes: Tensor = self.G(self.latents, self.labels)
        fakes = fakes if self.D.execution.precision == torch.float32 else fakes.float()
        return fakes if self.augment is None else self.augment(fakes)

    def judge(self, images: Tensor, parts: int = 1) -> Verdict:
        """Compute D's output on images [N * parts, C, h, w] with the update's labels, in the update's precision.

        Args:
            images: D's input, already augmented.
            parts: number of batches in `images`; each has the same labels and its own batch statistics.
        """
        labels = self.labels if self.labels is None or parts == 1 else torch.cat([self.labels] * parts)
        with FULL if self.D.execution.precision == torch.float32 else self._autocast():
            verdict = self.D.judge(images, labels, parts)
        return verdict if self.D.execution.precision == torch.float32 else verdict.float()

    def score_gradients(self, images: Tensor) -> Tensor:
        """Compute grad D(x) [N, C, h, w] at images x, differentiable in D's weights, always in float32."""
        # A separate node, since D's weights also depend on the fakes if a loss unrolls D.
        points = images.view_as(images) if images.requires_grad else images.detach().requires_grad_()
        D = self.D
        if D.execution.recompute_from is not None:
            # Inputs of a gradient that is differentiated again are stored anyway; recomputation would only add copies.
            D = shallow_copy(D, {D: {"execution": replace(D.execution, recompute_from=None)}})
        with FULL if D.execution.precision == torch.float32 else self._autocast(low=False):
            scores = D.judge(points, self.labels).scores
        (gradients,) = torch.autograd.grad(scores, points, torch.ones_like(scores), create_graph=True)
        return gradients
