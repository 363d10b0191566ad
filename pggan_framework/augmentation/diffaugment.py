"""DiffAugment: the same differentiable augmentation of reals and fakes."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from pggan_framework.augmentation.base import Augmentation
from pggan_framework.augmentation.geometry import shifted, spans, whole
from pggan_framework.registry import register

Policy = Literal["color", "translation", "cutout"]


@register("augmentation")
class DiffAugment(Augmentation):
    """Changes colours of reals and fakes, shifts them and cuts out boxes (Zhao et al. 2020, arXiv 2006.10738).

    Every image gets each change of the policy, with strengths drawn uniformly within the limits below; the defaults are
    those of the paper. Empty areas are filled with 0, the middle of the range.

    Args:
        policy: changes to apply, always in the paper's order.
        brightness: largest offset, in units of the full range [-1, 1]; part of policy color.
        saturation: largest deviation from 1 of the factor around the channel mean; part of policy color.
        contrast: largest deviation from 1 of the factor around the image mean; part of policy color.
        shift: largest translation, as a fraction of height and width.
        hole: sides of the cut-out box, as a fraction of height and width.

    Raises:
        UserError: if a parameter is outside its limits.
    """

    def __init__(
        self,
        policy: tuple[Policy, ...] = ("color", "translation", "cutout"),
        brightness: float = 0.5,
        saturation: float = 1.0,
        contrast: float = 0.5,
        shift: float = 0.125,
        hole: float = 0.5,
    ) -> None:
        self.policy = tuple(policy)
        self.brightness, self.saturation, self.contrast = brightness, saturation, contrast
        self.shift, self.hole = shift, hole
        self.require("policy", bool(policy), "one or more of color, translation, cutout")
        for name in ("brightness", "saturation", "contrast"):
            self.require(name, getattr(self, name) >= 0, "0 and above")
        for name in ("shift", "hole"):
            self.require(name, 0 <= getattr(self, name) <= 1, "0 to 1")

    @property
    def geometric(self) -> bool:
        """True if image contents move, which applies to translation."""
        return "translation" in self.policy

    def __call__(self, images: Tensor) -> Tensor:
        """Change each image of [N, C, h, w]."""
        if "color" in self.policy:
            images = self._coloured(images)
        if "translation" in self.policy:
            for axis in (2, 3):
                limit = whole(self.shift, images.shape[axis])
                by = torch.randint(-limit, limit + 1, (len(images),), device=images.device)
                images = shifted(images, by, axis, "zero")
        return self._cut(images) if "cutout" in self.policy else images

    def _coloured(self, images: Tensor) -> Tensor:
        def drawn(limit: float) -> Tensor:
            return (torch.rand_like(images[:, :1, :1, :1]) * 2 - 1) * limit

        images = images + drawn(self.brightness)
        # Written as additions, so that a limit of 0 leaves images bitwise unchanged.
        images = images + (images - images.mean(1, keepdim=True)) * drawn(self.saturation)
        return images + (images - images.mean((1, 2, 3), keepdim=True)) * drawn(self.contrast)

    def _cut(self, images: Tensor) -> Tensor:
        """Cut out a box at a random position, with its centre in the image or on its edge."""
        inside = []
        for length in images.shape[2:]:
            size = whole(self.hole, length)
            start = torch.randint(length + 1 - size % 2, (len(images),), device=images.device) - size // 2
            inside.append(spans(start, size, length))
        box = inside[0][:, None, :, None] & inside[1][:, None, None, :]
        return images.masked_fill(box, 0)
