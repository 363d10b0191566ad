"""Colour jitter: small random changes of the reals, which extend the data set."""

from __future__ import annotations

from math import radians
from typing import ClassVar, Literal

import torch
from torch import Tensor

from pggan_framework.augmentation.base import Augmentation
from pggan_framework.augmentation.colour import blended, grey, hue_turned
from pggan_framework.augmentation.geometry import identity, rotation, scaling, warp
from pggan_framework.registry import register


@register("augmentation")
class ColourJitter(Augmentation):
    """Slightly changes the colours of reals, and optionally rotates and flips them; G learns these changes too.

    Each image is changed by amounts drawn uniformly within the limits, in the order below; 0 disables a change. Colours
    change as in torchvision and stay within the range; saturation and hue need three channels.

    Args:
        brightness: largest deviation from 1 of the brightness factor (black is 0).
        contrast: largest deviation from 1 of the factor around the image's mean grey.
        saturation: largest deviation from 1 of the factor around each pixel's grey.
        hue: largest hue rotation, in turns, up to 0.5.
        rotation: largest rotation, in degrees; the image is mirrored beyond its edges.
        flip: probability of a horizontal flip, 0 to 1.

    Raises:
        UserError: if a parameter is outside its limits.
    """

    applies_to: ClassVar[Literal["both", "reals"]] = "reals"

    def __init__(
        self,
        brightness: float = 0.2,
        contrast: float = 0.2,
        saturation: float = 0.2,
        hue: float = 0.01,
        rotation: float = 0.0,
        flip: float = 0.0,
    ) -> None:
        self.brightness, self.contrast, self.saturation, self.hue = brightness, contrast, saturation, hue
        self.rotation, self.flip = rotation, flip
        for name, most in (("brightness", 1), ("contrast", 1), ("saturation", 1), ("hue", 0.5), ("rotation", 180)):
            self.require(name, 0 <= getattr(self, name) <= most, f"0 to {most}")
        self.require("flip", 0 <= flip <= 1, "0 to 1")

    @property
    def geometric(self) -> bool:
        """True if image contents move, which applies to rotations and flips."""
        return self.rotation > 0 or self.flip > 0

    def __call__(self, images: Tensor) -> Tensor:
        """Change each image of [N, C, h, w]."""
        if self.brightness or self.contrast or self.saturation or self.hue:
            images = self._coloured((images + 1) / 2) * 2 - 1
        if not self.geometric:
            return images
        mirror = 1 - 2 * (torch.rand_like(images[:, 0, 0, 0]) < self.flip).to(images)
        angle = self._drawn(images, radians(self.rotation))
        return warp(images, identity(images) @ scaling(mirror, torch.ones_like(mirror)) @ rotation(angle))

    def _drawn(self, images: Tensor, limit: float) -> Tensor:
        """Draw uniform values [N] within the limit."""
        return (torch.rand_like(images[:, 0, 0, 0]) * 2 - 1) * limit

    def _coloured(self, images: Tensor) -> Tensor:
        """Change the colours of images in [0, 1]."""
        if self.brightness:
            images = blended(images, torch.zeros_like(images), 1 + self._drawn(images, self.brightness))
        if self.contrast:
            images = blended(images, grey(images).mean((1, 2, 3), keepdim=True), 1 + self._drawn(images, self.contrast))
        if images.shape[1] != 3:
            return images
        if self.saturation:
            images = blended(images, grey(images), 1 + self._drawn(images, self.saturation))
        return hue_turned(images, self._drawn(images, self.hue)) if self.hue else images
