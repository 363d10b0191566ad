"""What one update can see: both networks, reals, fakes, and how far training is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, cast

import torch
from torch import Tensor
from torch.optim import Optimizer

from pggan_framework.networks.base import DiscriminatorBase, GeneratorBase, Verdict
from pggan_framework.networks.functional import input_gradients_only, plain
from pggan_framework.networks.recompute import all_kept

if TYPE_CHECKING:
    from pggan_framework.losses.base import Term


Side = Literal["D", "G"]
"""Which network an update or a term trains."""


@dataclass(frozen=True)
class Progress:
    """How far training had come before an update.

    Args:
        nimg: real images shown.
        updates: how often the network being updated was updated.
    """

    nimg: int = 0
    updates: int = 0


START = Progress()
"""Before the first update."""


class StepContext:
    """What one update can see. Each thing is computed once, when a term first asks for it.

    In D's update the fakes carry no gradient; in G's they do.

    Args:
        side: which network is updated.
        G: the generator.
        D: the discriminator.
        latents: [N, F].
        reals: [N, C, h, w], faded and augmented already; None where the update sees none.
        labels: [N, width] of the fakes, and of the reals where there are any: both have the same.
        mixing: [N, 1, 1, 1] in [0, 1], where each interpolate lies between its real and its fake; drawn if not given.
        progress: how far training has come.
        fakes: [N, C, h, w], where they are made, and augmented, already.
        D_optimizer: what D is trained by, for a loss that looks ahead.
        augment: what fakes go through before any term or D sees them; as the reals have.
        precision: what the networks compute in; gradients that are differentiated again are in float32 all the same.
        weights: of the terms, by name, where they are not to be asked; those that are not in it are not computed.
    """

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
        precision: torch.dtype = torch.float32,
        weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.side = side
        self.G, self.D = G, D
        self.latents, self.labels = latents, labels
        self.progress, self.D_optimizer = progress, D_optimizer
        self._augment = augment
        self.precision, self._weights = precision, weights
        self._reals, self._mixing, self._fakes = reals, mixing, fakes
        self.stats: dict[str, Tensor] = {}
        self.share = 1.0
        """What its gradients are multiplied by before they are added to those in the weights."""
        self.average: Callable[[Tensor], Tensor] = lambda value: value
        """A mean over this process's part of the batch -> that over all of it."""

    def log(self, name: str, value: Tensor) -> None:
        """Keep a scalar for the logs, cut off from the graph."""
        self.stats[name] = value.detach()

    def part(self, samples: Sequence[int]) -> StepContext:
        """The same update of some of its samples, whose gradients are that share of the whole's."""

        def of(whole: Tensor | None) -> Tensor | None:
            if whole is None:
                return None
            chosen = whole[torch.tensor(samples, device=whole.device)]
            return chosen.contiguous(memory_format=torch.channels_last) if chosen.dim() == 4 else chosen

        found = StepContext(
            self.side,
            self.G,
            self.D,
            cast(Tensor, of(self.latents)),
            of(self._reals),
            of(self.labels),
            of(self._mixing),
            self.progress,
            of(self._fakes),
            self.D_optimizer,
            self._augment,
            self.precision,
            self._weights,
        )
        found.share = len(samples) / len(self.latents)
        return found

    @property
    def inputs(self) -> dict[str, Tensor | None]:
        """What it was given, by the names of its arguments."""
        return {"latents": self.latents, "reals": self._reals, "labels": self.labels, "mixing": self._mixing}

    def weight_of(self, term: Term) -> float | Tensor | None:
        """What a term is multiplied by in this update; None where it is not to be computed."""
        if term.side != self.side:
            return None
        return (term.weight_in(self) or None) if self._weights is None else self._weights.get(term.name)

    def _computing(self, less: bool = True) -> AbstractContextManager[None]:
        """Within it the networks compute in the update's precision or, unless it may be `less`, in float32."""
        if self.precision == torch.float32:
            return nullcontext()
        return cast(AbstractContextManager[None], torch.autocast(self.latents.device.type, self.precision, less))

    def _generate(self) -> Tensor:
        with self._computing():
            fakes: Tensor = self.G(self.latents, self.labels)
        return fakes if self.precision == torch.float32 else fakes.float()

    def _judge(self, images: Tensor, labels: Tensor | None, parts: int = 1) -> Verdict:
        with self._computing():
            verdict = self.D.judge(images, labels, parts)
        return verdict if self.precision == torch.float32 else verdict.float()

    @property
    def reals(self) -> Tensor:
        """[N, C, h, w].

        Raises:
            RuntimeError: if this update has none.
        """
        if self._reals is None:
            raise RuntimeError(f"the update of {self.side} was given no reals")
        return self._reals

    @cached_property
    def fakes(self) -> Tensor:
        """[N, C, h, w] made from the latents, as D is to see them."""
        if self._fakes is not None:
            return self._fakes
        with torch.set_grad_enabled(self.side == "G"):
            fakes = self._generate()
            return fakes if self._augment is None else self._augment(fakes)

    @cached_property
    def _verdicts(self) -> list[Verdict]:
        if plain():
            return [self._judge(images, self.labels) for images in (self.reals, self.fakes)]
        # One pass for both is faster than two; `parts` keeps what D computes over a batch apart.
        labels = None if self.labels is None else torch.cat([self.labels, self.labels])
        return self._judge(torch.cat([self.reals, self.fakes]), labels, 2).split(2)

    @cached_property
    def real_verdict(self) -> Verdict:
        """D's scores [N] and features [N, F] of the reals."""
        if self.side == "G":
            # Apart from the fakes: while D is held fixed, no gradient passes through what it says of reals.
            return self._judge(self.reals, self.labels)
        return self._verdicts[0]

    @cached_property
    def real_scores(self) -> Tensor:
        """[N], those of `real_verdict`, cut off from the graph."""
        return self.real_verdict.scores.detach()

    @cached_property
    def fake_verdict(self) -> Verdict:
        """D's scores [N] and features [N, F] of the fakes."""
        if self.side == "G" or self._reals is None:
            return self._judge(self.fakes, self.labels)
        return self._verdicts[1]

    @cached_property
    def interpolates(self) -> Tensor:
        """[N, C, h, w], each on the line between a real and a fake."""
        mixing = self._mixing
        if mixing is None:
            mixing = torch.rand(self.reals.shape[0], 1, 1, 1, device=self.reals.device, dtype=self.reals.dtype)
        return torch.lerp(self.reals, self.fakes, mixing)

    @cached_property
    def interpolate_gradients(self) -> Tensor:
        """[N, C, h, w], the gradient of D's score at each interpolate, itself differentiable in D's weights."""
        return self._score_gradients(self.interpolates)

    @cached_property
    def real_gradients(self) -> Tensor:
        """[N, C, h, w], the same at each real."""
        return self._score_gradients(self.reals)

    @cached_property
    def fake_gradients(self) -> Tensor:
        """[N, C, h, w], the same at each fake."""
        return self._score_gradients(self.fakes)

    def forget_gradients(self) -> None:
        """Compute the gradients of scores again when they are asked for."""
        for name in ("interpolate_gradients", "real_gradients", "fake_gradients"):
            self.__dict__.pop(name, None)

    def _score_gradients(self, images: Tensor) -> Tensor:
        # A node of its own: where a loss looks ahead, D's weights too depend on the fakes.
        points = images.view_as(images) if images.requires_grad else images.detach().requires_grad_()
        with self._computing(less=False), all_kept():
            scores = self.D.judge(points, self.labels).scores
        with input_gradients_only():
            (gradients,) = torch.autograd.grad(scores.sum(), points, create_graph=True)
        return gradients
