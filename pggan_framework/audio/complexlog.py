"""The codec ``complex``: real and imaginary parts of the short-time spectrum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import PhaseStart, Wave
from pggan_framework.audio.curve import compress, expand
from pggan_framework.audio.layout import as_batch, as_waves
from pggan_framework.audio.spectral import SpectralCodec
from pggan_framework.registry import register

KNEE = 1e3
"""60 dB: the curve is flatter than for magnitudes, so that float16 images still reproduce the wave to 65 dB."""


@register("codec", "complex")
class ComplexCodec(SpectralCodec):
    """sign(x) log(1 + k |x|) of the spectrum's real and imaginary parts, two channels per wave channel; invertible.

    0 in the image is silence. The Nyquist bin is omitted, which causes an error of about -90 dB in recordings.

    Args:
        sample_rate: samples per second.
        n_fft: window length in samples, a power of two.
        hop_length: number of samples between frames, at most n_fft / 2.
        frames: number of columns of an image (default: n_fft / 2, a square).
        channels: number of channels of a wave.
        margin: silent frames at each end that decoding discards (default: 0).
    """

    name = "complex"

    @property
    def shape(self) -> tuple[int, int, int]:
        """[2 * channels, n_fft / 2, frames]: real and imaginary parts of the first channel, then of the next."""
        return 2 * self.channels, self.n_fft // 2, self.frames

    def channel_kinds(self) -> tuple[str, ...]:
        """Real and imaginary parts, for each channel of the wave."""
        return ("real", "imaginary") * self.channels

    def _values(self, wave: Wave) -> NDArray[np.float64]:
        spectrum = self._spectrum(wave)
        return np.stack([spectrum.real, spectrum.imag], axis=1)

    def encode(self, wave: Wave) -> NDArray[np.float32]:
        """[T] or [channels, T] -> [2 * channels, n_fft / 2, frames] in [-1, 1]; T may have any value.

        The last hop is zero-padded.
        """
        values = compress(self._values(wave), self.statistic("peak"), KNEE)
        return values.reshape(-1, *values.shape[2:]).astype(np.float32)

    def decode(
        self,
        array: NDArray[np.float32],
        seed: int = 0,
        griffin_lim_iter: int = 32,
        device: str = "cpu",
        phase_start: PhaseStart = "auto",
        refine_iter: int = 0,
    ) -> Wave:
        """Invert the transform: [2 * channels, n_fft / 2, frames] or a batch -> [T], [channels, T], or [N, ...]."""
        batch = expand(as_batch(array, *self.shape[:2], nothing=0.0), self.statistic("peak"), KNEE)
        spectra = batch[:, 0::2] + 1j * batch[:, 1::2]
        return as_waves(self._signals(spectra, device), np.ndim(array) == 4)
