"""The codec ``mellog``: the logarithm of magnitudes in mel bands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import Wave
from pggan_framework.audio.magnitude import MagnitudeCodec
from pggan_framework.audio.mel import from_mel, mel_centres, mel_matrix
from pggan_framework.errors import UserError
from pggan_framework.registry import register


@register("codec", "mellog")
class MelLogCodec(MagnitudeCodec):
    """The codec `abslog` in mel bands: it has half the rows, and resolves high partials less finely.

    Decoding starts from bins found by non-negative least squares, and from the same phases as `abslog`. Each
    Griffin-Lim iteration then scales the bins of the wave to the given bands. If windows overlap by less than 75 %,
    decoding inserts a frame between two columns, interpolated linearly in dB.

    Args:
        sample_rate: samples per second.
        n_fft: window length in samples, a power of two.
        hop_length: number of samples between frames, at most n_fft / 2.
        frames: number of columns of an image (default: n_fft / 2).
        channels: number of channels of a wave.
        mels: number of rows of an image (mel bands), at most n_fft (default: n_fft / 4).
        margin: silent frames at each end that decoding discards, so that every sample is covered by all its windows
            (default: n_fft / (2 * hop_length), at most a quarter of all frames).

    Raises:
        UserError: if a size is outside its limits.
    """

    name = "mellog"
    rows_parameter = "mels"

    def __init__(
        self,
        sample_rate: int = 16000,
        n_fft: int = 1024,
        hop_length: int = 128,
        frames: int | None = None,
        channels: int = 1,
        mels: int | None = None,
        margin: int | None = None,
    ) -> None:
        super().__init__(sample_rate, n_fft, hop_length, frames, channels, margin)
        self.mels = n_fft // 4 if mels is None else mels
        if not 1 <= self.mels <= n_fft:
            raise UserError(f"mels {mels} does not fit n_fft {n_fft}; allowed: 1 to {n_fft}")
        self.parameters["mels"] = self.mels

    @property
    def shape(self) -> tuple[int, int, int]:
        """[channels, mels, frames]."""
        return self.channels, self.mels, self.frames

    def row_hz(self) -> NDArray[np.float64]:
        """Centre frequencies of the bands in Hz, [mels]."""
        return mel_centres(self.sample_rate, self.mels)

    @property
    def _matrix(self) -> NDArray[np.float64]:
        return mel_matrix(self.sample_rate, self.n_fft, self.mels)

    def _values(self, wave: Wave) -> NDArray[np.float64]:
        bands: NDArray[np.float64] = self._matrix @ self._magnitude_spectrum(wave)
        return bands

    def _magnitudes(self, values: NDArray[np.float64], device: str) -> NDArray[np.float64]:
        return from_mel(self._matrix, values, device)
