"""The codec ``if``: magnitudes and instantaneous frequencies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import PhaseStart, Wave
from pggan_framework.audio.curve import compress, expand
from pggan_framework.audio.layout import as_batch, as_waves
from pggan_framework.audio.spectral import SpectralCodec
from pggan_framework.registry import register

KNEE = 1e6
"""120 dB: for a loudest magnitude of 1, log(1 + k |S|) is GANSynth's log(|S| + 1e-6) up to scale and offset."""


@register("codec", "if")
class IfCodec(SpectralCodec):
    """Log magnitudes and the phase step of each bin from frame to frame: two channels per wave channel.

    Engel et al., "GANSynth: adversarial neural audio synthesis", ICLR 2019. The loudest magnitude of the fitted data is
    1 and silence is -1. The second channel is the phase difference, wrapped to (-pi, pi] and divided by pi; the first
    frame contains the phase itself. The bin at 0 Hz is included, the Nyquist bin is omitted. Decoding accumulates the
    differences in float64 and inverts the transform, which is exact except for the Nyquist bin.

    Args:
        sample_rate: samples per second.
        n_fft: window length in samples, a power of two.
        hop_length: number of samples between frames, at most n_fft / 2.
        frames: number of columns of an image (default: 128, 4.1 s).
        channels: number of channels of a wave.
        margin: silent frames at each end that decoding discards (default: 0).
    """

    name = "if"

    def __init__(
        self,
        sample_rate: int = 16000,
        n_fft: int = 2048,
        hop_length: int = 512,
        frames: int | None = None,
        channels: int = 1,
        margin: int | None = None,
    ) -> None:
        super().__init__(sample_rate, n_fft, hop_length, 128 if frames is None else frames, channels, margin)

    @property
    def shape(self) -> tuple[int, int, int]:
        """[2 * channels, n_fft / 2, frames]: magnitudes and phase steps of the first channel, then of the next."""
        return 2 * self.channels, self.n_fft // 2, self.frames

    def channel_kinds(self) -> tuple[str, ...]:
        """Magnitudes and phase differences, for each channel of the wave."""
        return ("magnitude", "phase step") * self.channels

    def _magnitudes(self, spectrum: NDArray[np.complex128]) -> NDArray[np.float64]:
        """Convert the magnitudes of a spectrum [..., n_fft / 2, frames] to rows of an image."""
        magnitudes: NDArray[np.float64] = np.abs(spectrum)
        return magnitudes

    def _steps(self, spectrum: NDArray[np.complex128]) -> NDArray[np.float64]:
        """Convert the phase differences between frames to rows of an image, radians in (-pi, pi]."""
        phases = np.where(spectrum == 0, 0.0, np.angle(spectrum))
        moved = np.diff(phases, axis=-1, prepend=0.0)
        wrapped: NDArray[np.float64] = np.pi - np.remainder(np.pi - moved, 2 * np.pi)
        return wrapped

    def _linear(
        self, magnitudes: NDArray[np.float64], steps: NDArray[np.float64], device: str
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Convert rows of an image to magnitudes and phase differences of the bins, both [..., n_fft / 2, frames]."""
        return magnitudes, steps

    def _values(self, wave: Wave) -> NDArray[np.float64]:
        return self._magnitudes(self._spectrum(wave))

    def encode(self, wave: Wave) -> NDArray[np.float32]:
        """[T] or [channels, T] -> [2 * channels, rows, frames] in [-1, 1]; T may have any value.

        The last hop is zero-padded.
        """
        spectrum = self._spectrum(wave)
        loudness = 2 * compress(self._magnitudes(spectrum), self.statistic("peak"), KNEE) - 1
        both = np.stack([loudness, self._steps(spectrum) / np.pi], axis=1)
        return both.reshape(-1, *both.shape[2:]).astype(np.float32)

    def decode(
        self,
        array: NDArray[np.float32],
        seed: int = 0,
        griffin_lim_iter: int = 32,
        device: str = "cpu",
        phase_start: PhaseStart = "auto",
        refine_iter: int = 0,
    ) -> Wave:
        """[2 * channels, rows, frames] or a batch of them -> [T], [channels, T], or [N, ...].

        If `phase_start` is ``random`` or ``pghi``, the second channel is ignored, and `griffin_lim_iter` steps
        reconstruct the phases; otherwise, `refine_iter` steps start from the array's phases. See `Codec.decode`.
        """
        batch = as_batch(array, *self.shape[:2])
        loudness = expand((batch[:, 0::2] + 1) / 2, self.statistic("peak"), KNEE)
        magnitudes, steps = self._linear(loudness, batch[:, 1::2] * np.pi, device)
        if phase_start != "auto":
            waves = self._search(magnitudes, griffin_lim_iter, seed, device, phase_start)
        else:
            phases = np.cumsum(steps, axis=-1)
            if refine_iter:
                waves = self._search(magnitudes, refine_iter, seed, device, phases)
            else:
                waves = self._signals(magnitudes * np.exp(1j * phases), device)
        return as_waves(waves, np.ndim(array) == 4)
