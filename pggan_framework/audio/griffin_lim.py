"""A signal from the magnitudes of its short-time spectrum alone: fast Griffin-Lim, in torch, on any device."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pggan_framework.audio.stft import edges, hann

MOMENTUM = 0.99
"""Acceleration alpha; Perraudin et al. 2013 find 0.99 best."""


class TorchStft:
    """`audio.stft.stft` and its inverse on batches of one length, frames before bins: [N, frames, n_fft / 2 + 1].

    Args:
        n_fft: window length in samples.
        hop_length: samples from frame to frame.
        frames: how many frames; the signals have ``frames * hop_length`` samples.
        device: where the tensors are.
    """

    def __init__(self, n_fft: int, hop_length: int, frames: int, device: torch.device) -> None:
        self.n_fft, self.hop_length, self.frames = n_fft, hop_length, frames
        self.before, self.after = edges(n_fft, hop_length)
        self.samples = frames * hop_length
        window = torch.from_numpy(np.array(hann(n_fft)))
        squares = self._overlap_add((window**2).expand(1, frames, n_fft))
        self.window = window.to(device, torch.float32)
        self.weight = squares.reciprocal().to(device, torch.float32)

    def _overlap_add(self, frames: Tensor) -> Tensor:
        """[N, frames, n_fft] -> [N, T]: each frame added at its place, without the zeros at both ends."""
        parts = -(-self.n_fft // self.hop_length)
        hops = F.pad(frames, (0, parts * self.hop_length - self.n_fft))
        hops = hops.reshape(len(frames), self.frames, parts, self.hop_length)
        total = frames.new_zeros(len(frames), self.frames + parts - 1, self.hop_length)
        for part in range(parts):
            total[:, part : part + self.frames] += hops[:, :, part]
        return total.flatten(1)[:, self.before : self.before + self.samples]

    def forward(self, signals: Tensor) -> Tensor:
        """[N, T] -> complex [N, frames, n_fft / 2 + 1]."""
        frames = F.pad(signals, (self.before, self.after)).unfold(-1, self.n_fft, self.hop_length)
        spectra: Tensor = torch.fft.rfft(frames * self.window)
        return spectra

    def inverse(self, spectra: Tensor) -> Tensor:
        """The signals [N, T] whose spectra are nearest to the given ones (Griffin and Lim 1984)."""
        frames = torch.fft.irfft(spectra, n=self.n_fft) * self.window
        return self._overlap_add(frames) * self.weight


def griffin_lim(
    magnitudes: Tensor, n_fft: int, hop_length: int, iterations: int, seed: int, momentum: float = MOMENTUM
) -> Tensor:
    """Find signals [N, T] whose short-time magnitudes are near `magnitudes` [N, n_fft / 2 + 1, frames].

    Fast Griffin-Lim (Perraudin, Balazs and Soendergaard, "A fast Griffin-Lim algorithm", WASPAA 2013). The first phases
    are drawn on the CPU from `seed`, the same for every signal of the batch, so that what comes out of one signal
    depends neither on its neighbours nor on the device's generator. T is ``frames * hop_length``.
    """
    target = magnitudes.transpose(1, 2).to(torch.float32).contiguous()
    transform = TorchStft(n_fft, hop_length, target.shape[1], target.device)
    generator = torch.Generator().manual_seed(seed)
    phases = torch.rand(target.shape[1:], generator=generator) * (2 * np.pi)
    spectra = target * torch.polar(torch.ones_like(phases), phases).to(target.device)
    # t + a (t - last) = (1 + a) (t - a / (1 + a) last); only its phase matters.
    memory = momentum / (1 + momentum)
    last = torch.zeros_like(spectra)
    for _ in range(iterations):
        consistent = transform.forward(transform.inverse(spectra))
        moved = torch.sub(consistent, last, alpha=memory)
        # Where nothing is left there is no phase either: 0 / tiny stays 0, so silence stays silence.
        spectra = moved * (target / (moved.abs() + 1e-16))
        last = consistent
    return transform.inverse(spectra)
