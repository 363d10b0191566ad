"""The EMA generator: a running average of the generator's weights, used for samples."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, ClassVar

import torch
from torch import Tensor

from pggan_framework.errors import UserError
from pggan_framework.networks.base import GeneratorBase
from pggan_framework.networks.torch_private import foreach
from pggan_framework.registry import register


@register("training")
class EMA:
    """Exponential moving average of G; its half-life counts images (as in StyleGAN2-ADA, arXiv 2006.06676), not steps.

    The weights of a block enter the average when the block is added, and their ramp-up starts at that moment, so the
    average soon forgets the initial weights of a new depth. Call `attach` once with G before any other method.

    Args:
        half_life_kimg: half-life of a weight in the average, in thousand images.
        rampup: limit of the half-life as a fraction of a weight's training images; 0 for no limit.
    """

    schedulable: ClassVar[tuple[str, ...]] = ("half_life_kimg",)

    def __init__(self, half_life_kimg: float = 10.0, rampup: float = 0.05) -> None:
        if half_life_kimg < 0 or rampup < 0:
            raise UserError(f"EMA.half_life_kimg {half_life_kimg} and EMA.rampup {rampup} must be at least 0")
        self.half_life_kimg, self.rampup = half_life_kimg, rampup
        self._generator: GeneratorBase | None = None
        self._source: GeneratorBase | None = None
        self.births: dict[str, float] = {}
        """Name of a weight -> images shown when it was first trained; weights that are not yet trained are missing."""

    def attach(self, G: GeneratorBase) -> None:
        """Start the average as a copy of `G`, in eval mode and without gradients."""
        self._generator = deepcopy(G).requires_grad_(False).eval()
        self._pair(G)

    def _pair(self, G: GeneratorBase) -> None:
        """Pair each tensor of the average with the corresponding tensor in `G`, once instead of at every step."""
        self._source, average = G, self.generator
        self._weights = [(n, m, t) for (n, m), t in zip(average.named_parameters(), G.parameters(), strict=True)]
        buffers = zip(average.named_buffers(), G.buffers(), strict=True)
        # `follow` copies alpha.
        self._buffers = [(mine, theirs) for (name, mine), theirs in buffers if name != "alpha_value"]

    @property
    def generator(self) -> GeneratorBase:
        """The EMA generator, at the depth and alpha of the last update.

        Raises:
            RuntimeError: if `attach` was not called.
        """
        if self._generator is None:
            raise RuntimeError("EMA.attach(G) was not called")
        return self._generator

    def decay(self, nimg: float, batch: int) -> float:
        """Return the factor of the old average after `batch` more images, for a weight trained on `nimg` images."""
        half_life = self.half_life_kimg * 1000
        if self.rampup > 0:
            half_life = min(half_life, nimg * self.rampup)
        return float(0.5 ** (batch / half_life)) if half_life > 0 else 0.0

    def begin_anew(self, nimg: float) -> None:
        """Restart the half-life ramp-up of every weight, as if its training had started at `nimg` images."""
        self.births = dict.fromkeys(self.births, nimg)

    @torch.no_grad()
    def update(self, G: GeneratorBase, nimg: float, batch: int) -> None:
        """Update the average after a step of `batch` images; buffers, depth and alpha are copied."""
        if G is not self._source:
            self._pair(G)
        groups: dict[float, tuple[list[Tensor], list[Tensor]]] = {}
        for name, mine, theirs in self._weights:
            if theirs.grad is not None:
                self.births.setdefault(name, nimg - batch)
            if name in self.births:
                group = groups.setdefault(self.births[name], ([], []))
                group[0].append(mine)
                group[1].append(theirs)
        for birth, (averaged, trained) in groups.items():
            foreach("lerp_", averaged, trained, 1 - self.decay(nimg - birth, batch))
        for own, buffer in self._buffers:
            own.copy_(buffer)
        assert self._generator is not None
        self._generator.follow(G)

    def state_dict(self) -> dict[str, Any]:
        """Return the averaged weights."""
        return self.generator.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state of `state_dict`."""
        self.generator.load_state_dict(state)
