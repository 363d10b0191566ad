"""What the codecs made from a short-time Fourier transform share: sizes, the fitted peak, and the transform."""

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
    """Base of the codecs whose image has a column a frame; the one number fitted is the data's largest value.

    Args:
        sample_rate: samples a second.
        n_fft: window length in samples, a power of two.
        hop_length: samples from frame to frame, at most n_fft / 2; n_fft / 4 is a good choice.
        frames: columns of an image; n_fft / 2 by default, a square.
        channels: channels of a wave.
        margin: frames before the first sample and after the last one, out of `frames`; they see silence, and decoding
            cuts them off. None leaves it to the codec, see `default_margin`.

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
        # States from before there were margins have none, so a margin of 0 is left out: fingerprints stay the same.
        if self.margin:
            self.parameters["margin"] = self.margin

    def default_margin(self) -> int:
        """Frames of a margin where none is given, at most a quarter of all frames: 0, both ends decode exactly."""
        return 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """[channels, n_fft / 2, frames]."""
        return self.channels, self.n_fft // 2, self.frames

    def row_hz(self) -> NDArray[np.float64]:
        """The bins' frequencies, [n_fft / 2]: 0 Hz to one bin below Nyquist."""
        return np.linspace(0, self.sample_rate / 2, self.n_fft // 2, endpoint=False)

    def time_range(self) -> tuple[float, float]:
        """Seconds at the left and at the right edge of an image; the margins are before 0 and after the wave."""
        column = self.hop_length / self.sample_rate
        return -self.margin * column, (self.frames - self.margin) * column

    @abstractmethod
    def _values(self, wave: Wave) -> NDArray[np.float64]:
        """The numbers an image shows on its logarithmic curve, linear, of any shape."""

    def measure(self, wave: Wave) -> dict[str, float]:
        """The largest value of a wave, ``peak``."""
        values = self._values(wave)
        return {"peak": max(float(values.max()), -float(values.min()))}

    def clipped_share(self, wave: Wave) -> float:
        """Share, 0 to 1, of the values above the fitted peak."""
        return float(np.mean(np.abs(self._values(wave)) > self.statistic("peak")))

    def _transform(self, wave: Wave) -> NDArray[np.complex128]:
        """The short-time spectrum with its margins, [channels, n_fft / 2 + 1, frames]."""
        return stft(with_channels(wave, self.channels), self.n_fft, self.hop_length, self.margin)

    def _without_margins(self, signals: NDArray[np.float32]) -> NDArray[np.float32]:
        """[..., frames * hop_length] -> [..., samples].

        Raises:
            ValueError: if the margins leave nothing.
        """
        cut = self.margin * self.hop_length
        if signals.shape[-1] <= 2 * cut:
            frames = signals.shape[-1] // self.hop_length
            raise ValueError(f"{frames} frames are no more than two margins of {self.margin}")
        return signals[..., cut : signals.shape[-1] - cut]

    def _spectrum(self, wave: Wave) -> NDArray[np.complex128]:
        """[channels, n_fft / 2, frames] without the Nyquist bin, phases counted from each frame's centre.

        So counted, the bins of one partial or click have nearly one phase; from a frame's start, every other bin has
        the opposite sign, and the smaller images of low depths, which are means of neighbours, would hold nothing.
        """
        spectrum = self._transform(wave)[:, :-1]
        return spectrum * alternating(self.n_fft // 2)[:, None]

    def _magnitude_spectrum(self, wave: Wave) -> NDArray[np.float64]:
        """The magnitudes of `_spectrum`, [channels, n_fft / 2, frames]; those of the sums need no signs."""
        magnitudes: NDArray[np.float64] = np.abs(self._transform(wave))
        return magnitudes[:, :-1]

    def _signals(self, spectra: NDArray[Any], device: str) -> NDArray[np.float32]:
        """The inverse of `_spectrum`, Nyquist bin silent: [N, channels, n_fft / 2, frames] -> [N, channels, T]."""
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
        """Magnitudes [N, channels, n_fft / 2, frames] -> [N, channels, T]; see `phases.from_magnitudes`.

        There are `finer` frames for each column of an image.
        """
        silent, hop = self.margin * self.hop_length, self.hop_length // finer
        waves = from_magnitudes(magnitudes, self.n_fft, hop, iterations, seed, device, start, silent, bands, matrix)
        return self._without_margins(waves)
