"""The common base of codecs with a short-time Fourier transform: sizes, fitted peak and transform."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import Codec, PhaseStart, Wave
from pggan_framework.audio.layout import with_channels
from pggan_framework.audio.phases import from_magnitudes
from pggan_framework.audio.stft import alternating, stft
from pggan_framework.errors import UserError


class SpectralCodec(Codec):
    """Base of the codecs whose images have one column per frame; the only fitted statistic is the largest value.

    Args:
        sample_rate: samples per second.
        n_fft: window length in samples, a power of two.
        hop_length: number of samples between frames, at most n_fft / 2; n_fft / 4 is a good choice.
        frames: number of columns of an image (default: n_fft / 2, a square).
        channels: number of channels of a wave.
        margin: silent frames before the first and after the last sample, counted in `frames`; decoding discards them
            (default: set by the codec, see `default_margin`).

    Raises:
        UserError: if a size is outside its limits.
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        n_fft: int = 1024,
        hop_length: int = 128,
        frames: int | None = None,
        channels: int = 1,
        margin: int | None = None,
    ) -> None:
        if n_fft < 8 or n_fft & (n_fft - 1):
            raise UserError(f"n_fft {n_fft} is not a power of two; allowed: 8, 16 ... 1024, 2048 ...")
        if not 1 <= hop_length <= n_fft // 2:
            raise UserError(f"hop_length {hop_length} does not fit n_fft {n_fft}; allowed: 1 to {n_fft // 2}")
        self.frames = n_fft // 2 if frames is None else frames
        for what, number in (("sample rate", sample_rate), ("frames", self.frames), ("channels", channels)):
            if number < 1:
                raise UserError(f"{what} {number} is not allowed; allowed: 1 or more")
        self.sample_rate, self.n_fft, self.hop_length, self.channels = sample_rate, n_fft, hop_length, channels
        self.margin = min(self.default_margin(), self.frames // 4) if margin is None else margin
        if not 0 <= self.margin <= (self.frames - 1) // 2:
            raise UserError(
                f"margin {self.margin} does not fit {self.frames} frames: two margins leave no samples;"
                f" allowed: 0 to {(self.frames - 1) // 2}"
            )
        self.samples = (self.frames - 2 * self.margin) * hop_length
        self.statistics = {}
        self.parameters = {
            "sample_rate": sample_rate,
            "n_fft": n_fft,
            "hop_length": hop_length,
            "frames": self.frames,
            "channels": channels,
        }
        # States from versions without margins contain none; omitting a margin of 0 keeps fingerprints unchanged.
        if self.margin:
            self.parameters["margin"] = self.margin

    def default_margin(self) -> int:
        """The default margin in frames, at most a quarter of all frames; here 0, since both ends decode exactly."""
        return 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """[channels, n_fft / 2, frames]."""
        return self.channels, self.n_fft // 2, self.frames

    def row_hz(self) -> NDArray[np.float64]:
        """Frequencies of the bins in Hz, [n_fft / 2]: 0 Hz to one bin below Nyquist."""
        return np.linspace(0, self.sample_rate / 2, self.n_fft // 2, endpoint=False)

    def time_range(self) -> tuple[float, float]:
        """Seconds at the left and right edges of an image; the margins are before 0 and after the wave."""
        column = self.hop_length / self.sample_rate
        return -self.margin * column, (self.frames - self.margin) * column

    @abstractmethod
    def _values(self, wave: Wave) -> NDArray[np.float64]:
        """The linear values, of any shape, that an image represents on its logarithmic curve."""

    def measure(self, wave: Wave) -> dict[str, float]:
        """Measure the largest value of a wave, ``peak``."""
        values = self._values(wave)
        return {"peak": max(float(values.max()), -float(values.min()))}

    def clipped_share(self, wave: Wave) -> float:
        """Fraction, 0 to 1, of the values above the fitted peak."""
        return float(np.mean(np.abs(self._values(wave)) > self.statistic("peak")))

    def _transform(self, wave: Wave) -> NDArray[np.complex128]:
        """The short-time spectrum with its margins, [channels, n_fft / 2 + 1, frames]."""
        return stft(with_channels(wave, self.channels), self.n_fft, self.hop_length, self.margin)

    def _without_margins(self, signals: NDArray[np.float32]) -> NDArray[np.float32]:
        """Remove the margins, [..., frames * hop_length] -> [..., samples].

        Raises:
            ValueError: if the margins leave no samples.
        """
        cut = self.margin * self.hop_length
        if signals.shape[-1] <= 2 * cut:
            frames = signals.shape[-1] // self.hop_length
            raise ValueError(f"{frames} frames are no more than two margins of {self.margin}")
        return signals[..., cut : signals.shape[-1] - cut]

    def _spectrum(self, wave: Wave) -> NDArray[np.complex128]:
        """The spectrum [channels, n_fft / 2, frames] without the Nyquist bin, with phases at each frame's centre.

        At the centre, the bins of one partial or click have nearly the same phase. At a frame's start, every other bin
        has the opposite sign, so neighbours would cancel out in the means that form the smaller images of low depths.
        """
        spectrum = self._transform(wave)[:, :-1]
        return spectrum * alternating(self.n_fft // 2)[:, None]

    def _magnitude_spectrum(self, wave: Wave) -> NDArray[np.float64]:
        """The magnitudes of `_spectrum`, [channels, n_fft / 2, frames]; magnitudes need no sign correction."""
        magnitudes: NDArray[np.float64] = np.abs(self._transform(wave))
        return magnitudes[:, :-1]

    def _signals(self, spectra: NDArray[Any], device: str) -> NDArray[np.float32]:
        """Invert `_spectrum` with a silent Nyquist bin, [N, channels, n_fft / 2, frames] -> [N, channels, T]."""
        import torch

        from pggan_framework.audio.griffin_lim import TorchStft

        number, channels, bins, frames = spectra.shape
        full = np.zeros((number * channels, frames, bins + 1), dtype=np.complex64)
        full[..., :-1] = (spectra * alternating(bins)[:, None]).reshape(-1, bins, frames).swapaxes(1, 2)
        transform = TorchStft(self.n_fft, self.hop_length, frames, torch.device(device))
        signals: NDArray[np.float32] = transform.inverse(torch.from_numpy(full).to(device)).cpu().numpy()
        return self._without_margins(signals.reshape(number, channels, -1))

    def _search(
        self,
        magnitudes: NDArray[np.float64],
        iterations: int,
        seed: int,
        device: str,
        start: PhaseStart | NDArray[np.float64],
        bands: NDArray[np.float64] | None = None,
        matrix: NDArray[np.float64] | None = None,
        finer: int = 1,
    ) -> NDArray[np.float32]:
        """Reconstruct waves [N, channels, T] from magnitudes [N, channels, n_fft / 2, frames] by `from_magnitudes`.

        `finer` is the number of frames per column of an image.
        """
        silent, hop = self.margin * self.hop_length, self.hop_length // finer
        waves = from_magnitudes(magnitudes, self.n_fft, hop, iterations, seed, device, start, silent, bands, matrix)
        return self._without_margins(waves)
