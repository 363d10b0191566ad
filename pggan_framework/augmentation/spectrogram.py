"""What may be done to a spectrogram and leave it one."""

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
    """Shifts in time, changes of level, and masked bands and stretches, of reals and fakes alike.

    For pictures whose rows are frequencies and whose columns are moments. Nothing is mirrored or turned, and no
    frequency is moved. Each amount is drawn evenly within the limits below; 0 turns a change off. The masks are those
    of SpecAugment (arXiv 1904.08779).

    Args:
        time_shift: longest shift, earlier or later, a share of the duration.
        shift_mode: what comes in: cyclic, what left on the other side; edge, the first or last moment, held.
        gain: most that is added to the magnitudes, which are logarithmic, in units of the full range [-1, 1].
        band_mask: tallest band that is silenced, a share of the rows.
        time_mask: longest stretch that is silenced, a share of the duration.

    Raises:
        UserError: if one is outside its limits.
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
        """Whether it moves what is in a picture: a shift in time does."""
        return self.time_shift > 0

    def setup(self, codec: Codec | None) -> None:
        """Learn which channels are magnitudes; without a codec, all are.

        Raises:
            UserError: if the rows are no frequencies, or there is no magnitude to change.
        """
        if codec is None:
            return
        if codec.row_hz() is None:
            raise UserError(
                f"SpectrogramAugment needs rows that are frequencies, and those of the codec {codec.name} are none;"
                " allowed: any other codec"
            )
        self._magnitudes = tuple(kind == "magnitude" for kind in codec.channel_kinds())
        if self.gain and not any(self._magnitudes):
            raise UserError(
                f"SpectrogramAugment.gain {self.gain} is given, but the codec {codec.name} has no logarithmic"
                " magnitudes; allowed: 0"
            )

    def __call__(self, images: Tensor) -> Tensor:
        """Change each picture of [N, C, h, w]."""
        (n, channels, height, width), device = images.shape, images.device
        limit = whole(self.time_shift, width)
        if limit:
            by = torch.randint(-limit, limit + 1, (n,), device=device)
            images = shifted(images, by, 3, self.shift_mode)
        kinds = self._magnitudes or (True,) * channels
        loud = torch.stack([images.new_full((1, 1), float(kind)) for kind in kinds])
        if self.gain:
            images = images + (torch.rand_like(images[:, :1, :1, :1]) * 2 - 1) * self.gain * loud
        # Silence is the least magnitude; of phases and of parts that have a sign it is the middle.
        silence = -loud
        if self.band_mask:
            images = torch.where(self._stretch(n, height, self.band_mask, device)[:, None, :, None], silence, images)
        if self.time_mask:
            images = torch.where(self._stretch(n, width, self.time_mask, device)[:, None, None, :], silence, images)
        return images

    def _stretch(self, count: int, length: int, share: float, device: torch.device) -> Tensor:
        """[count, length] bool: True along one stretch, as long as drawn, anywhere within."""
        size = torch.randint(whole(share, length) + 1, (count,), device=device)
        start = (torch.rand(count, device=device) * (length - size + 1)).long()
        return spans(start, size, length)
