"""The codec ``ifmel``: magnitudes and instantaneous frequencies in mel bands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.instantaneous import IfCodec
from pggan_framework.audio.mel import from_mel, mel_centres, mel_matrix, transpose
from pggan_framework.errors import UserError
from pggan_framework.registry import register


@register("codec", "ifmel")
class IfMelCodec(IfCodec):
    """The codec `if` in mel bands: low partials get more rows, high partials fewer. For single notes only.

    Engel et al. 2019 (GANSynth) report their best results on instrument notes with this representation. A band's phase
    difference is the mean over its bins, weighted by magnitude. If two partials meet in a band, as in chords, drums and
    speech, the mean does not match the phase of either; decode these sounds with ``phase_start`` ``pghi`` or
    ``random``, from the magnitudes alone.

    Args:
        sample_rate: samples per second.
        n_fft: window length in samples, a power of two.
        hop_length: number of samples between frames, at most n_fft / 2.
        frames: number of columns of an image (default: 128, 4.1 s).
        channels: number of channels of a wave.
        mels: number of rows of an image (mel bands), at most n_fft (default: n_fft / 2).
        margin: silent frames at each end that decoding discards (default: 0).

    Raises:
        UserError: if a size is outside its limits.
    """

    name = "ifmel"
    rows_parameter = "mels"

    def __init__(
        self,
        sample_rate: int = 16000,
        n_fft: int = 2048,
        hop_length: int = 512,
        frames: int | None = None,
        channels: int = 1,
        mels: int | None = None,
        margin: int | None = None,
    ) -> None:
        super().__init__(sample_rate, n_fft, hop_length, frames, channels, margin)
        self.mels = n_fft // 2 if mels is None else mels
        if not 1 <= self.mels <= n_fft:
            raise UserError(f"mels {mels} does not fit n_fft {n_fft}; allowed: 1 to {n_fft}")
        self.parameters["mels"] = self.mels

    @property
    def shape(self) -> tuple[int, int, int]:
        """[2 * channels, mels, frames]: magnitudes and phase steps of the first channel, then of the next."""
        return 2 * self.channels, self.mels, self.frames

    def row_hz(self) -> NDArray[np.float64]:
        """Centre frequencies of the bands in Hz, [mels]."""
        return mel_centres(self.sample_rate, self.mels)

    @property
    def _matrix(self) -> NDArray[np.float64]:
        return mel_matrix(self.sample_rate, self.n_fft, self.mels)

    def _magnitudes(self, spectrum: NDArray[np.complex128]) -> NDArray[np.float64]:
        bands: NDArray[np.float64] = self._matrix @ np.abs(spectrum)
        return bands

    def _steps(self, spectrum: NDArray[np.complex128]) -> NDArray[np.float64]:
        moved = spectrum.copy()
        moved[..., 1:] *= np.conj(spectrum[..., :-1])
        return _angle(self._matrix @ moved)

    def _linear(
        self, magnitudes: NDArray[np.float64], steps: NDArray[np.float64], device: str
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        moved = transpose(self._matrix) @ (magnitudes * np.exp(1j * steps))
        return from_mel(self._matrix, magnitudes, device), _angle(moved)


def _angle(values: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Phases of complex numbers, 0 for 0."""
    angles: NDArray[np.float64] = np.where(values == 0, 0.0, np.angle(values))
    return angles
