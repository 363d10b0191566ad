"""The codec ``abslog``: the logarithm of short-time magnitudes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import Wave
from pggan_framework.audio.layout import as_batch, as_waves, with_channels
from pggan_framework.audio.spectral import SpectralCodec
from pggan_framework.audio.stft import stft
from pggan_framework.registry import register

KNEE = 1e4
"""Loudest magnitude over the one where the logarithm turns linear, 80 dB: quieter parts stay, but take little room."""
AT_ONCE = 1 << 22
"""Magnitudes decoded together; several hundred megabytes of work space."""


@register("codec", "abslog")
class AbsLogCodec(SpectralCodec):
    """log(1 + k |S|), one channel of magnitudes for each of the wave's; the phases are found again in decoding.

    The picture has n_fft / 2 bins, 0 Hz to just below Nyquist, and `frames` frames. The loudest magnitude of the fitted
    data is 1 and silence -1, exactly; k puts the knee of the logarithm 80 dB below the loudest, so that the picture
    does not depend on the level of the recordings, and no floor cuts anything off. Nothing is scaled by file, so levels
    are kept. Decoding undoes the logarithm exactly, takes the Nyquist bin as 0 and runs fast Griffin-Lim.

    Args:
        sample_rate: samples a second.
        n_fft: window length in samples, a power of two.
        hop_length: samples from frame to frame, at most n_fft / 2; n_fft / 4 is a good choice.
        frames: columns of a picture; n_fft / 2 by default, a square.
        channels: channels of a wave.
    """

    name = "abslog"

    @property
    def shape(self) -> tuple[int, int, int]:
        """[channels, n_fft / 2, frames]."""
        return self.channels, self.n_fft // 2, self.frames

    def _magnitudes(self, wave: Wave) -> NDArray[np.float64]:
        spectrum = stft(with_channels(wave, self.channels), self.n_fft, self.hop_length)
        magnitudes: NDArray[np.float64] = np.abs(spectrum[:, :-1])
        return magnitudes

    def fit(self, waves: Iterable[Wave]) -> AbsLogCodec:
        """Find the loudest magnitude of all waves; silence alone gives 1.

        Raises:
            ValueError: if there is no wave.
        """
        peaks = [float(self._magnitudes(wave).max()) for wave in waves]
        if not peaks:
            raise ValueError("a codec cannot be fitted to no waves")
        self.statistics = {"peak": max(peaks) or 1.0}
        return self

    def encode(self, wave: Wave) -> NDArray[np.float32]:
        """[T] or [channels, T] -> [channels, n_fft / 2, frames] in [-1, 1]; any T, the last hop filled with zeros."""
        values = np.log1p(self._magnitudes(wave) * (KNEE / self.statistic("peak"))) * (2 / np.log1p(KNEE)) - 1
        encoded: NDArray[np.float32] = np.minimum(values, 1.0).astype(np.float32)
        return encoded

    def clipped_share(self, wave: Wave) -> float:
        """Share, 0 to 1, of the magnitudes above the fitted peak."""
        return float(np.mean(self._magnitudes(wave) > self.statistic("peak")))

    def decode(
        self, array: NDArray[np.float32], seed: int = 0, griffin_lim_iter: int = 100, device: str = "cpu"
    ) -> Wave:
        """[channels, n_fft / 2, frames] or a batch of them -> [T], [channels, T], or [N, ...]; T = frames * hop_length.

        Any number of frames is decoded. See `Codec.decode` for the arguments.
        """
        import torch

        from pggan_framework.audio.griffin_lim import griffin_lim

        batch = as_batch(array, self.channels, self.n_fft // 2)
        number, channels, bins, frames = batch.shape
        magnitudes = np.zeros((number, channels, bins + 1, frames), dtype=np.float32)
        magnitudes[:, :, :-1] = np.expm1((batch + 1) * (np.log1p(KNEE) / 2)) * (self.statistic("peak") / KNEE)
        planes = torch.from_numpy(magnitudes).flatten(0, 1)
        waves = [
            griffin_lim(part.to(device), self.n_fft, self.hop_length, griffin_lim_iter, seed).cpu()
            for part in torch.split(planes, max(AT_ONCE // ((bins + 1) * frames), 1))
        ]
        return as_waves(torch.cat(waves).numpy().reshape(number, channels, -1), np.ndim(array) == 4)
