"""The codec ``raw``: the samples themselves, folded into rows."""

from __future__ import annotations

from math import isqrt

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import Codec, PhaseStart, Wave
from pggan_framework.audio.layout import as_batch, as_waves, with_channels
from pggan_framework.errors import UserError
from pggan_framework.registry import register


@register("codec", "raw")
class RawCodec(Codec):
    """The waveform divided by the loudest sample of the fitted data and folded into rows, starting at the bottom row.

    Args:
        sample_rate: samples per second.
        samples: number of samples per image.
        height: number of rows of an image; 1 puts the wave in one row (default: the largest power of two that divides
            `samples` and is at most the width).
        channels: number of channels of a wave.

    Raises:
        UserError: if the height does not divide `samples`, or a number is below 1.
    """

    name = "raw"
    rows_parameter = "height"

    def __init__(
        self, sample_rate: int = 16000, samples: int = 65536, height: int | None = None, channels: int = 1
    ) -> None:
        for what, number in (("sample rate", sample_rate), ("samples", samples), ("channels", channels)):
            if number < 1:
                raise UserError(f"{what} {number} is not allowed; allowed: 1 or more")
        if height is None:
            # samples & -samples is the largest power of two that divides it.
            height = min(samples & -samples, 1 << (isqrt(samples).bit_length() - 1))
        if height < 1 or samples % height:
            raise UserError(f"height {height} does not divide {samples} samples; allowed: a divisor of it")
        self.sample_rate, self.samples, self.channels = sample_rate, samples, channels
        self.height, self.width = height, samples // height
        self.statistics = {}
        self.parameters = {"sample_rate": sample_rate, "samples": samples, "height": height, "channels": channels}

    @property
    def shape(self) -> tuple[int, int, int]:
        """[channels, height, width]."""
        return self.channels, self.height, self.width

    def measure(self, wave: Wave) -> dict[str, float]:
        """Measure the loudest sample of a wave, ``peak``."""
        return {"peak": float(np.abs(with_channels(wave, self.channels)).max())}

    def encode(self, wave: Wave) -> NDArray[np.float32]:
        """[T] or [channels, T] -> [channels, rows, width] in [-1, 1]; any T is allowed; the last row is zero-padded."""
        values = with_channels(wave, self.channels) / np.float32(self.statistic("peak"))
        filled = np.pad(np.clip(values, -1, 1), [(0, 0), (0, -values.shape[1] % self.width)])
        return filled.reshape(self.channels, -1, self.width)

    def clipped_share(self, wave: Wave) -> float:
        """Fraction, 0 to 1, of the samples beyond the fitted peak."""
        return float(np.mean(np.abs(with_channels(wave, self.channels)) > self.statistic("peak")))

    def decode(
        self,
        array: NDArray[np.float32],
        seed: int = 0,
        griffin_lim_iter: int = 32,
        device: str = "cpu",
        phase_start: PhaseStart = "auto",
        refine_iter: int = 0,
    ) -> Wave:
        """[channels, rows, width] or a batch of them -> [T], [channels, T], or [N, ...]; only `array` is used."""
        batch = as_batch(array, self.channels, nothing=0.0)
        waves = batch.reshape(*batch.shape[:2], -1) * self.statistic("peak")
        return as_waves(waves, np.ndim(array) == 4)
