"""Augmentations that preserve the validity of spectrograms."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor

from pggan_framework.augmentation.base import Augmentation
from pggan_framework.augmentation.geometry import shifted, spans, whole
from pggan_framework.errors import UserError
from pggan_framework.registry import register

if TYPE_CHECKING:
    from pggan_framework.audio.base import Codec


@register("augmentation")
class SpectrogramAugment(Augmentation):
    """Shifts reals and fakes in time, changes their levels, and masks bands and time segments.

    It supports images whose rows are frequencies and whose columns are times. Nothing is mirrored or rotated, and no
    frequency is moved. Amounts are drawn uniformly within the limits below; 0 disables a change. The masks are those of
    SpecAugment (arXiv 1904.08779).

    Args:
        time_shift: largest shift in either direction, as a fraction of the duration.
        shift_mode: content of the vacated columns: cyclic inserts the columns shifted out on the other side, edge
            repeats the first or last column.
        gain: largest offset of the log magnitudes, in units of the full range [-1, 1].
        band_mask: largest height of the silenced band, as a fraction of the rows.
        time_mask: longest duration of the silenced segment, as a fraction of the duration.

    Raises:
        UserError: if a parameter is outside its limits.
    """

    spectrogram_safe: ClassVar[bool] = True

    def __init__(
        self,
        time_shift: float = 0.125,
        shift_mode: Literal["cyclic", "edge"] = "cyclic",
        gain: float = 0.05,
        band_mask: float = 0.125,
        time_mask: float = 0.125,
    ) -> None:
        self.time_shift, self.shift_mode, self.gain = time_shift, shift_mode, gain
        self.band_mask, self.time_mask = band_mask, time_mask
        for name in ("time_shift", "band_mask", "time_mask"):
            self.require(name, 0 <= getattr(self, name) <= 1, "0 to 1")
        self.require("gain", 0 <= gain <= 2, "0 to 2")
        self._magnitudes: tuple[bool, ...] | None = None

    @property
    def geometric(self) -> bool:
        """True if image contents move, which applies to a time shift."""
        return self.time_shift > 0

    def setup(self, codec: Codec | None) -> None:
        """Find the magnitude channels; without a codec, all channels are magnitudes.

        Raises:
            UserError: if the rows are not frequencies, or there are no magnitudes to change.
        """
        if codec is None:
            return
        if codec.row_hz() is None:
            raise UserError(
                f"SpectrogramAugment needs rows that are frequencies, and those of the codec {codec.name} are not;"
                " allowed: any other codec"
            )
        self._magnitudes = tuple(kind == "magnitude" for kind in codec.channel_kinds())
        if self.gain and not any(self._magnitudes):
            raise UserError(
                f"SpectrogramAugment.gain {self.gain} is given, but the codec {codec.name} has no logarithmic"
                " magnitudes; allowed: 0"
            )

    def __call__(self, images: Tensor) -> Tensor:
        """Change each image of [N, C, h, w]."""
        (n, channels, height, width), device = images.shape, images.device
        limit = whole(self.time_shift, width)
        if limit:
            by = torch.randint(-limit, limit + 1, (n,), device=device)
            images = shifted(images, by, 3, self.shift_mode)
        kinds = self._magnitudes or (True,) * channels
        loud = torch.stack([images.new_full((1, 1), float(kind)) for kind in kinds])
        if self.gain:
            images = images + (torch.rand_like(images[:, :1, :1, :1]) * 2 - 1) * self.gain * loud
        # Silence is the smallest magnitude; for phases and signed channels, it is the middle of the range.
        silence = -loud
        if self.band_mask:
            images = torch.where(self._stretch(n, height, self.band_mask, device)[:, None, :, None], silence, images)
        if self.time_mask:
            images = torch.where(self._stretch(n, width, self.time_mask, device)[:, None, None, :], silence, images)
        return images

    def _stretch(self, count: int, length: int, share: float, device: torch.device) -> Tensor:
        """Return bool [count, length]: True in a segment of random length at a random position."""
        size = torch.randint(whole(share, length) + 1, (count,), device=device)
        start = (torch.rand(count, device=device) * (length - size + 1)).long()
        return spans(start, size, length)
