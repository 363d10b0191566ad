"""A signal from the magnitudes of its short-time spectrum alone: fast Griffin-Lim, in torch, on any device."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pggan_framework.audio.stft import edges, hann

MOMENTUM = 0.99
"""Acceleration alpha; Perraudin et al. 2013 find 0.99 best."""
OUTER_MOMENTUM, RELAXATION = 1.1, 1.25
"""beta and gamma of Nenov et al., chosen by measurement: 1 dB better than momentum alone, in the mean over kinds."""


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
    magnitudes: Tensor,
    n_fft: int,
    hop_length: int,
    iterations: int,
    seed: int,
    phases: Tensor | None = None,
) -> Tensor:
    """Find signals [N, T] whose short-time magnitudes are near `magnitudes` [N, n_fft / 2 + 1, frames].

    Fast Griffin-Lim (Perraudin, Balazs and Soendergaard, "A fast Griffin-Lim algorithm", WASPAA 2013), with a second
    momentum and over-relaxation (Nenov, Nguyen, Balazs and Bot, "Faster than fast: accelerating the Griffin-Lim
    algorithm"). The first phases
    are drawn on the CPU from `seed`, the same for every signal of the batch, so that what comes out of one signal
    depends neither on its neighbours nor on the device's generator; or they are `phases`, shaped as `magnitudes`, in
    radians. T is ``frames * hop_length``.
    """
    target = magnitudes.transpose(1, 2).to(torch.float32).contiguous()
    transform = TorchStft(n_fft, hop_length, target.shape[1], target.device)
    if phases is None:
        generator = torch.Generator().manual_seed(seed)
        first = torch.rand(target.shape[1:], generator=generator) * (2 * np.pi)
    else:
        first = phases.transpose(1, 2).contiguous()
    spectra = target * torch.polar(torch.ones_like(first), first).to(target.device)
    previous = outer = None
    for _ in range(iterations):
        # Pairs of real numbers: torch adds these several times faster than complex ones.
        current = torch.view_as_real(transform.forward(transform.inverse(spectra)))
        if previous is None or outer is None:
            moved = outer = current
        else:
            current = torch.lerp(outer, current, RELAXATION)
            change = current - previous
            moved = torch.add(current, change, alpha=MOMENTUM)
            outer = change.mul_(OUTER_MOMENTUM).add_(current)
        # Where nothing is left there is no phase either: 0 / tiny stays 0, so silence stays silence.
        power = moved[..., 0].square().addcmul_(moved[..., 1], moved[..., 1]).add_(1e-32)
        spectra = torch.view_as_complex(moved * power.rsqrt_().mul_(target).unsqueeze(-1))
        previous = current
    return transform.inverse(spectra)
