"""The codec ``reallog``: the real part of the short-time spectrum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import PhaseStart, Wave
from pggan_framework.audio.curve import compress, expand
from pggan_framework.audio.layout import as_batch, as_waves
from pggan_framework.audio.spectral import SpectralCodec
from pggan_framework.audio.stft import alternating
from pggan_framework.registry import register

KNEE = 1e3
"""60 dB, as in `complexlog`."""


@register("codec", "reallog")
class RealLogCodec(SpectralCodec):
    """sign(x) log(1 + k |x|) of the spectrum's real part, one channel per wave channel.

    0 in the image is silence, and the range is symmetric. The imaginary part is lost. If it were set to 0, every frame
    would be mirrored about its centre, with an error of -11 dB at best. But frames overlap, so neighbouring frames
    contain most of the information that one real part lacks, and decoding finds the wave whose real parts are nearest.
    Only partials near a multiple of sample_rate / (2 * hop_length) can be zero at the centre of every frame; they are
    weakened.

    Args:
        sample_rate: samples per second.
        n_fft: window length in samples, a power of two.
        hop_length: number of samples between frames, at most n_fft / 2; n_fft / 8 reconstructs better than n_fft / 4.
        frames: number of columns of an image (default: n_fft / 2, a square).
        channels: number of channels of a wave.
        margin: silent frames at each end that decoding discards (default: 0).
    """

    name = "reallog"

    def channel_kinds(self) -> tuple[str, ...]:
        """One channel of real parts for each channel of the wave."""
        return ("real",) * self.channels

    def _values(self, wave: Wave) -> NDArray[np.float64]:
        return self._spectrum(wave).real

    def encode(self, wave: Wave) -> NDArray[np.float32]:
        """[T] or [channels, T] -> [channels, n_fft / 2, frames] in [-1, 1]; T may have any value.

        The last hop is zero-padded.
        """
        return compress(self._values(wave), self.statistic("peak"), KNEE).astype(np.float32)

    def decode(
        self,
        array: NDArray[np.float32],
        seed: int = 0,
        griffin_lim_iter: int = 32,
        device: str = "cpu",
        phase_start: PhaseStart = "auto",
        refine_iter: int = 0,
    ) -> Wave:
        """[channels, n_fft / 2, frames] or a batch of them -> [T], [channels, T], or [N, ...].

        `griffin_lim_iter` counts conjugate gradient steps; 0 sets the imaginary part to 0. See `Codec.decode`.
        """
        parts = expand(as_batch(array, self.channels, self.n_fft // 2, nothing=0.0), self.statistic("peak"), KNEE)
        waves = self._nearest(parts, griffin_lim_iter, device)
        return as_waves(waves, np.ndim(array) == 4)

    def _nearest(self, parts: NDArray[np.float64], steps: int, device: str) -> NDArray[np.float32]:
        """Find waves [N, channels, T] whose spectra have real parts nearest to `parts` [N, channels, bins, frames].

        Uses conjugate gradients on the normal equations, in the inner product for which the inverse transform is the
        adjoint of the transform (samples weighted by the sum of the squared windows over them). A few steps also suit
        images that belong to no wave, since poorly determined components converge last.
        """
        import torch

        from pggan_framework.audio.griffin_lim import TorchStft

        number, channels, bins, frames = parts.shape
        # Phases at a frame's start and at its centre differ by a sign per bin, which is the same for both parts.
        known = np.zeros((number * channels, frames, bins + 1), dtype=np.float32)
        known[..., :-1] = (parts * alternating(bins)[:, None]).reshape(-1, bins, frames).swapaxes(1, 2)
        transform = TorchStft(self.n_fft, self.hop_length, frames, torch.device(device))
        weight = transform.weight.reciprocal()

        def back(real: torch.Tensor) -> torch.Tensor:
            return transform.inverse(torch.complex(real, torch.zeros_like(real)))

        def inner(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
            return (one * other * weight).sum(dim=-1, keepdim=True)

        right = back(torch.from_numpy(known).to(device))
        # The real parts have half of the spectrum's energy, so doubling the mirrored frames gives the right level.
        found = 2 * right
        rest = right - back(transform.forward(found).real)
        towards, size = rest, inner(rest, rest)
        for _ in range(steps):
            moved = back(transform.forward(towards).real)
            length = size / inner(towards, moved).clamp(min=1e-30)
            found = found + length * towards
            rest = rest - length * moved
            last, size = size, inner(rest, rest)
            towards = rest + size / last.clamp(min=1e-30) * towards
        waves: NDArray[np.float32] = found.cpu().numpy()
        return self._without_margins(waves.reshape(number, channels, -1))
