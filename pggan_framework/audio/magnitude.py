"""What the codecs that keep magnitudes and no phases share: `abslog` and `mellog`."""

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
"""Loudest magnitude over the one where the logarithm turns linear, 80 dB: quieter parts stay, but take little room."""


class MagnitudeCodec(SpectralCodec):
    """Base of the codecs whose image is one channel of log magnitudes, 0 dB at 1, silence at -1 exactly."""

    def default_margin(self) -> int:
        """As many frames as windows need to see every sample as often: else its magnitudes are too few for phases."""
        return full_margin(self.n_fft, self.hop_length)

    def channel_kinds(self) -> tuple[str, ...]:
        """Magnitudes, for each channel of the wave."""
        return ("magnitude",) * self.channels

    def encode(self, wave: Wave) -> NDArray[np.float32]:
        """[T] or [channels, T] -> [channels, rows, frames] in [-1, 1]; any T, the last hop filled with zeros."""
        return (2 * compress(self._values(wave), self.statistic("peak"), KNEE) - 1).astype(np.float32)

    @property
    def _finer(self) -> int:
        """How many frames decoding works with for each column: 2 for bands whose windows overlap by less than 70 %.

        With so few frames a search has too much freedom within a band, and the level flutters from frame to frame.
        """
        return 2 if self._matrix is not None and self.n_fft < self.hop_length / 0.3 and self.hop_length % 2 == 0 else 1

    @property
    def _matrix(self) -> NDArray[np.float64] | None:
        """The weights [rows, n_fft / 2] of the bins in each row; None where a row is a bin."""
        return None

    @abstractmethod
    def _magnitudes(self, values: NDArray[np.float64], device: str) -> NDArray[np.float64]:
        """A batch of what `_values` gave [N, channels, rows, frames] -> [N, channels, n_fft / 2, frames]."""

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

        Any number of frames is decoded. See `Codec.decode` for the arguments.
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
    """Log magnitudes [..., frames] -> [..., 2 * frames] at half the hop, linear between the frames' centres."""
    before = np.concatenate([array[..., :1], array[..., :-1]], axis=-1)
    after = np.concatenate([array[..., 1:], array[..., -1:]], axis=-1)
    # The new frames are centred a quarter of a hop before and after each old one.
    both = np.stack([0.75 * array + 0.25 * before, 0.75 * array + 0.25 * after], axis=-1)
    return both.reshape(*array.shape[:-1], -1)
