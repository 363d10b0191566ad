"""Convert images of any format to 8 bit, upright, one colour mode and one size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from pggan_framework.data.images.files import grey_levels, to_srgb, upright, white_level

if TYPE_CHECKING:
    from PIL.Image import Image

Mode = Literal["RGB", "L", "RGBA"]
Policy = Literal["none", "stretch", "crop", "pad"]
Filter = Literal["lanczos", "bicubic", "bilinear", "hamming", "box", "nearest"]

CHANNELS: dict[str, int] = {"RGB": 3, "L": 1, "RGBA": 4}
SMALL = 1 << 15
"""Largest number of pixels for which transposing an array is faster than copying bands one by one."""
POLICIES = "stretch, crop (scale the shorter side, cut the middle), pad (fit, fill with the background)"


@dataclass(frozen=True)
class Fitting:
    """The processing of each image.

    Args:
        mode: channels of the result.
        size: [H, W] of the result; all policies except ``none`` use it.
        policy: how to resize images of other sizes; see `POLICIES`.
        background: red, green and blue, 0 to 255, behind transparent images and around padded images.
        filter: resampling filter.
        cut: crop of the upright image: left, top, width and height in pixels, or the side of a centred square (default:
            no crop).
        white: white level of integer grey images that do not specify one.
    """

    mode: Mode
    size: tuple[int, int]
    policy: Policy = "none"
    background: tuple[int, int, int] = (255, 255, 255)
    filter: Filter = "lanczos"
    cut: tuple[int, int, int, int] | int | None = None
    white: int = 65535

    def picture(self, image: Image) -> Image:
        """Convert a stored image to `mode` and, except for the policy ``none``, to `size`.

        Raises:
            ValueError: if the pixels have no defined range, or the crop extends beyond the image.
            Exception: of many types, from Pillow, if it cannot be decoded.
        """
        if image.mode == "F":
            raise ValueError("32-bit float, whose range is not defined")
        image.load()
        turned = upright(image)
        if image.mode.startswith("I"):
            turned = self._to_8_bit(turned, white_level(image) or self.white)
        return self._fit(self._flatten(self._cut(to_srgb(turned))))

    def pixels(self, image: Image, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """Convert an image like `picture`, to uint8 [C, H, W], written to `out` if given.

        Raises:
            ValueError: like `picture`, or if the result does not have `size` because the file's header is wrong.
        """
        picture = self.picture(image)
        size = self.size if out is None else out.shape[1:]
        if picture.size != (size[1], size[0]):
            raise ValueError(f"its header says {size[0]}x{size[1]}, it is {picture.height}x{picture.width}")
        if size[0] * size[1] <= SMALL:
            pixels = np.asarray(picture)
            planes = pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels[None]
            if out is None:
                return np.ascontiguousarray(planes)
            out[:] = planes
            return out
        if out is None:
            out = np.empty((CHANNELS[self.mode], *size), np.uint8)
        for plane, band in zip(out, picture.split(), strict=True):  # faster than transposing a large array
            plane[:] = np.frombuffer(band.tobytes(), np.uint8).reshape(plane.shape)
        return out

    def box(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the crop of an upright image of `size`, [H, W].

        Raises:
            ValueError: if the crop extends beyond the image.
        """
        height, width = size
        if self.cut is None:
            return 0, 0, width, height
        if isinstance(self.cut, int):
            left, top, across, down = (width - self.cut) // 2, (height - self.cut) // 2, self.cut, self.cut
        else:
            left, top, across, down = self.cut
        if min(left, top) < 0 or left + across > width or top + down > height:
            raise ValueError(f"it is {height}x{width}, and what is to be cut out reaches beyond it")
        return left, top, left + across, top + down

    def _to_8_bit(self, image: Image, white: int) -> Image:
        """Scale integer grey of any range to 8 bit.

        Raises:
            ValueError: if a level is negative or above white.
        """
        from PIL import Image as pillow

        levels = grey_levels(image)
        low, high = int(levels.min()), int(levels.max())
        if low < 0 or high > white:
            raise ValueError(f"it has the level {low if low < 0 else high}; allowed: 0 to {white}")
        grey = pillow.fromarray(np.rint(levels * (255 / white)).astype(np.uint8))
        clear = image.info.get("transparency")  # the transparent level (PNG, tRNS)
        if not isinstance(clear, int):
            return grey
        return pillow.merge("LA", (grey, pillow.fromarray(np.where(levels == clear, 0, 255).astype(np.uint8))))

    def _cut(self, image: Image) -> Image:
        return image if self.cut is None else image.crop(self.box((image.height, image.width)))

    def _flatten(self, image: Image) -> Image:
        """Convert to 8 bit: ``RGB`` or ``L`` without transparency, or ``RGBa`` (premultiplied) for ``RGBA``."""
        from PIL import Image as pillow

        if self.mode == "RGBA":
            return image.convert("RGBA").convert("RGBa")
        if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
            paper = pillow.new("RGBA", image.size, (*self.background, 255))
            image = pillow.alpha_composite(paper, image.convert("RGBA")).convert("RGB")
        return image if image.mode == self.mode else image.convert(self.mode)

    def _fit(self, image: Image) -> Image:
        """Resize to full size by the policy."""
        from PIL import Image as pillow
        from PIL import ImageOps

        size, method = (self.size[1], self.size[0]), pillow.Resampling[self.filter.upper()]
        if self.policy == "stretch":
            image = image.resize(size, method)
        elif self.policy == "crop":
            image = ImageOps.fit(image, size, method)
        elif self.policy == "pad":
            small = ImageOps.contain(image, size, method)
            paper = pillow.new("RGB", size, self.background).convert(self.mode)
            image = pillow.new("RGBa", size) if image.mode == "RGBa" else paper
            image.paste(small, ((size[0] - small.width) // 2, (size[1] - small.height) // 2))
        return image.convert("RGBA") if image.mode == "RGBa" else image
