"""ADA: adaptive discriminator augmentation, just strong enough to prevent D from memorizing the data."""

from __future__ import annotations

from collections.abc import Mapping
from math import log, pi
from typing import Any, Literal

import torch
from torch import Tensor

from pggan_framework.augmentation.base import Augmentation
from pggan_framework.augmentation.colour import recoloured
from pggan_framework.augmentation.geometry import identity, rotation, scaling, translation, warp
from pggan_framework.cpu.transfer import to_device, widest
from pggan_framework.registry import register

Group = Literal["blit", "geometry", "colour"]


@register("augmentation")
class ADA(Augmentation):
    """Adaptive augmentation of reals and fakes: flips, shifts, scaling, rotation, colours (arXiv 2006.06676).

    Each change is applied with probability p. p follows the overfitting heuristic r = E sign(D(real)): it rises while r
    is above `target`, and falls otherwise (Karras et al. 2020, eq. 1 and section 3). D's scores must be centred on 0,
    as with StandardGAN, LogisticGAN and HingeGAN; for other losses, set `fixed_p`. The values are logged as ``ada.p``
    and ``ada.r``.

    Args:
        target: target value of r, 0 to 1.
        speed_kimg: thousand real images over which p can rise from 0 to 1.
        interval: number of updates of D between two adjustments of p.
        initial_p: initial value of p.
        fixed_p: constant value of p, which disables the adaptation.
        transforms: groups of changes. blit: flips, quarter turns of squares, integer shifts; geometry: scaling,
            rotation, stretch and shift; colour: brightness and contrast, and with three channels luma inversion, hue
            and saturation.

    Raises:
        UserError: if a parameter is outside its limits.
    """

    def __init__(
        self,
        target: float = 0.6,
        speed_kimg: float = 500.0,
        interval: int = 4,
        initial_p: float = 0.0,
        fixed_p: float | None = None,
        transforms: tuple[Group, ...] = ("blit", "geometry", "colour"),
    ) -> None:
        self.target, self.speed_kimg, self.interval = target, speed_kimg, interval
        self.initial_p, self.fixed_p, self.transforms = initial_p, fixed_p, tuple(transforms)
        self.require("target", 0 <= target <= 1, "0 to 1")
        self.require("speed_kimg", speed_kimg > 0, "above 0")
        self.require("interval", interval >= 1, "1 and up")
        self.require("initial_p", 0 <= initial_p <= 1, "0 to 1")
        self.require("fixed_p", fixed_p is None or 0 <= fixed_p <= 1, "0 to 1, or None")
        self.require("transforms", bool(transforms), "one or more of blit, geometry, colour")
        self._p = torch.tensor(initial_p if fixed_p is None else fixed_p, dtype=torch.float64)
        self._signs = torch.zeros(())
        self._images = self._updates = 0

    @property
    def p(self) -> float:
        """The probability of each change, 0 to 1; reading it synchronizes with the device."""
        return float(self._p)

    @property
    def geometric(self) -> bool:
        """True if image contents move, which applies to all groups except colour."""
        return self.transforms != ("colour",)

    def __call__(self, images: Tensor) -> Tensor:
        """Change each image of [N, C, h, w]; p = 0 leaves them unchanged."""
        self._follow(images.device)
        # An adaptive p stays on the device: the changes are computed even if they apply to no image.
        if self._p.device.type == "cpu" and self.p == 0:
            return images
        source = identity(images)
        if "blit" in self.transforms:
            source = self._blit(images, source)
        if "geometry" in self.transforms:
            source = self._geometry(images, source)
        if self.geometric:
            images = warp(images, source)
        return self._recoloured(images) if "colour" in self.transforms else images

    def _follow(self, device: torch.device) -> None:
        """Move the adaptive state to the device of the images; a fixed p stays on the host."""
        if self.fixed_p is None and self._p.device.type != device.type:
            self._p = to_device(self._p.to(widest(device)), device)
            self._signs = to_device(self._signs, device)

    def _drawn(self, values: Tensor, neutral: float, p: Tensor | None = None) -> Tensor:
        """Return `values` [N] with probability p, else `neutral`."""
        chosen = torch.rand_like(values) < (self._p if p is None else p)
        return torch.where(chosen, values, torch.full_like(values, neutral))

    # Each change is a right factor of `source`, the inverse mapping from the result to the image. The distributions are
    # from appendix B of the paper, where scales and shifts are as likely as their inverses.
    def _blit(self, images: Tensor, source: Tensor) -> Tensor:
        h, w = images.shape[2:]
        draw = images.new_empty(len(images))
        mirror = self._drawn(1 - 2 * torch.randint_like(draw, 2), 1.0)
        source = source @ scaling(mirror, torch.ones_like(mirror))
        if h == w:
            source = source @ rotation(self._drawn(torch.randint_like(draw, 4), 0.0) * (pi / 2))
        chosen = self._drawn(torch.ones_like(draw), 0.0) / 8
        x, y = torch.rand_like(draw) * 2 - 1, torch.rand_like(draw) * 2 - 1
        return source @ translation((x * w * chosen).round(), (y * h * chosen).round())

    def _geometry(self, images: Tensor, source: Tensor) -> Tensor:
        h, w = images.shape[2:]
        draw = images.new_empty(len(images))
        # Two rotations, before and after the stretch; at least one of them is applied with probability p.
        once = 1 - (1 - self._p).sqrt()

        def angle() -> Tensor:
            return self._drawn((torch.rand_like(draw) * 2 - 1) * pi, 0.0, once)

        scale = self._drawn((torch.randn_like(draw) * (0.2 * log(2))).exp(), 1.0)
        source = source @ scaling(scale, scale) @ rotation(angle())
        stretch = self._drawn((torch.randn_like(draw) * (0.2 * log(2))).exp(), 1.0)
        source = source @ scaling(stretch, 1 / stretch) @ rotation(angle())
        chosen = self._drawn(torch.ones_like(draw), 0.0) / 8
        return source @ translation(torch.randn_like(draw) * w * chosen, torch.randn_like(draw) * h * chosen)

    def _recoloured(self, images: Tensor) -> Tensor:
        draw = images.new_empty(len(images))
        brightness = self._drawn(torch.randn_like(draw) * 0.2, 0.0)
        contrast = self._drawn((torch.randn_like(draw) * (0.5 * log(2))).exp(), 1.0)
        luma = self._drawn(1 - 2 * torch.randint_like(draw, 2), 1.0)
        hue = self._drawn((torch.rand_like(draw) * 2 - 1) * pi, 0.0)
        saturation = self._drawn((torch.randn_like(draw) * log(2)).exp(), 1.0)
        return recoloured(images, brightness, contrast, luma, hue, saturation)

    def observe(self, scores: Tensor) -> Mapping[str, Tensor]:
        """Count the signs of D's scores [N] of the reals; adjust p every `interval` updates."""
        signs = scores.sign()
        self._follow(scores.device)
        if self.fixed_p is None:
            self._signs = self._signs + signs.sum()
            self._images += len(scores)
            self._updates += 1
            if self._updates == self.interval:
                self._adapt()
        p = self._p.to(signs.dtype) if self.fixed_p is None else torch.full_like(signs[0], self.fixed_p)
        return {"ada.p": p, "ada.r": signs.mean()}

    def _adapt(self) -> None:
        """``p += sign(r - target) * images / (1000 speed_kimg)``, clamped to [0, 1]; on the device."""
        r = self._signs.to(self._p.dtype) / self._images
        step = (r - self.target).sign() * (self._images / (1000 * self.speed_kimg))
        self._p = (self._p + step).clamp(0, 1)
        self._signs = torch.zeros_like(self._signs)
        self._images = self._updates = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the probability and the counts since its last adjustment."""
        return {"p": self.p, "signs": self._signs, "images": self._images, "updates": self._updates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state of `state_dict`; a fixed p is kept."""
        if self.fixed_p is None:
            self._p, self._signs = torch.tensor(float(state["p"]), dtype=torch.float64), state["signs"]
            self._images, self._updates = state["images"], state["updates"]
