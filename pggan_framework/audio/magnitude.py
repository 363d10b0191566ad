"""The common base of the codecs that keep magnitudes but no phases: `abslog` and `mellog`."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import PhaseStart, Wave
from pggan_framework.audio.curve import compress, expand
from pggan_framework.audio.layout import as_batch, as_waves
from pggan_framework.audio.spectral import SpectralCodec
from pggan_framework.audio.stft import full_margin

KNEE = 1e4
"""Ratio of the loudest magnitude to the magnitude at which the logarithm becomes linear: 80 dB."""


class MagnitudeCodec(SpectralCodec):
    """Base of the codecs whose image is one channel of log magnitudes: 0 dB is 1, silence is exactly -1."""

    def default_margin(self) -> int:
        """Enough frames that all windows cover every sample; otherwise, too few magnitudes determine the phases."""
        return full_margin(self.n_fft, self.hop_length)

    def channel_kinds(self) -> tuple[str, ...]:
        """One magnitude channel for each channel of the wave."""
        return ("magnitude",) * self.channels

    def encode(self, wave: Wave) -> NDArray[np.float32]:
        """[T] or [channels, T] -> [channels, rows, frames] in [-1, 1]; T may have any value.

        The last hop is zero-padded.
        """
        return (2 * compress(self._values(wave), self.statistic("peak"), KNEE) - 1).astype(np.float32)

    @property
    def _finer(self) -> int:
        """Frames per column during decoding: 2 for bands whose windows overlap by less than 70 %.

        With fewer frames, a search has too much freedom within a band, and the level flutters between frames.
        """
        return 2 if self._matrix is not None and self.n_fft < self.hop_length / 0.3 and self.hop_length % 2 == 0 else 1

    @property
    def _matrix(self) -> NDArray[np.float64] | None:
        """The weights [rows, n_fft / 2] of the bins in each row; None if each row is a bin."""
        return None

    @abstractmethod
    def _magnitudes(self, values: NDArray[np.float64], device: str) -> NDArray[np.float64]:
        """Convert a batch of `_values` [N, channels, rows, frames] to magnitudes [N, channels, n_fft / 2, frames]."""

    def decode(
        self,
        array: NDArray[np.float32],
        seed: int = 0,
        griffin_lim_iter: int = 32,
        device: str = "cpu",
        phase_start: PhaseStart = "auto",
        refine_iter: int = 0,
    ) -> Wave:
        """[channels, rows, frames] or a batch of them -> [T], [channels, T], or [N, ...]; without the margins.

        Decodes any number of frames. See `Codec.decode` for the arguments.
        """
        batch = as_batch(array, self.channels, self.shape[1])
        finer = self._finer
        if finer == 2:
            batch = with_frames_between(batch)
        values = expand((batch + 1) / 2, self.statistic("peak"), KNEE)
        bands, matrix = (None, None) if self._matrix is None else (values, self._matrix)
        magnitudes = self._magnitudes(values, device)
        waves = self._search(magnitudes, griffin_lim_iter, seed, device, phase_start, bands, matrix, finer)
        return as_waves(waves, np.ndim(array) == 4)


def with_frames_between(array: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate log magnitudes [..., frames] -> [..., 2 * frames] at half the hop, linearly between frame centres."""
    before = np.concatenate([array[..., :1], array[..., :-1]], axis=-1)
    after = np.concatenate([array[..., 1:], array[..., -1:]], axis=-1)
    # The new frames are centred a quarter of a hop before and after each old frame.
    both = np.stack([0.75 * array + 0.25 * before, 0.75 * array + 0.25 * after], axis=-1)
    return both.reshape(*array.shape[:-1], -1)
