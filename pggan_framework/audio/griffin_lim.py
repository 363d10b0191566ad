"""Reconstruct a signal from short-time magnitudes alone: fast Griffin-Lim in torch, on any device."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pggan_framework.audio.stft import edges, hann

MOMENTUM = 0.99
"""Acceleration alpha; Perraudin et al. 2013 recommend 0.99."""
SETTLING = 1.1, 1.25
"""beta and gamma of Nenov et al., chosen by measurement. At 32 steps they are 1 dB better than momentum alone, averaged
over kinds of sound, but the search then converges early, even to a poor solution.
"""
EXPLORING = 0.0, 1.0
"""Momentum alone is slower, but it leaves poor solutions, where drums would otherwise stay for any number of steps."""
SETTLING_STEPS = 64
"""Number of steps at the end that converge; earlier steps explore."""
QUIETEST = 1e-10
"""Smallest frame energy that `frame_gains` distinguishes, relative to the energy of the loudest frame: -100 dB."""
EARLY_GAIN, LATE_GAIN = 1.0, 0.75
"""Powers of `frame_gains`: the first sharpens attacks, the second then fits the loud frames."""
LOUDEST_STEP = 30.0
"""Largest factor by which one step amplifies a bin if only bands of bins are known."""
COARSE = 8
"""Overlap at which a search needs only every second window, since these windows still overlap by three quarters."""


class TorchStft:
    """`audio.stft.stft` and its inverse on batches of one length, frames before bins: [N, frames, n_fft / 2 + 1].

    Args:
        n_fft: window length in samples.
        hop_length: number of samples between frames.
        frames: number of frames; the signals have ``frames * hop_length`` samples.
        device: device of the tensors.
        every: use only the first of each group of this many frames; ``every * hop_length`` is at most n_fft / 4 unless
            `every` is 1.
        gains: weight of each frame where frames overlap, [N, frames] (default: equal weights). Spectra passed to
        `inverse` must already be multiplied by their weights.
    """

    def __init__(
        self,
        n_fft: int,
        hop_length: int,
        frames: int,
        device: torch.device,
        every: int = 1,
        gains: Tensor | None = None,
    ) -> None:
        self.n_fft, self.hop_length, self.frames = n_fft, hop_length * every, -(-frames // every)
        self.samples = frames * hop_length
        self.before = edges(n_fft, hop_length)[0]
        self.after = (self.frames - 1) * self.hop_length + n_fft - self.before - self.samples
        window = torch.from_numpy(np.array(hann(n_fft)))
        counts = torch.ones(1, self.frames) if gains is None else gains.cpu()
        squares = self._overlap_add(window * counts[..., None], window)
        self.window = window.to(device, torch.float32)
        self.weight = squares.reciprocal().to(device, torch.float32)

    def _overlap_add(self, frames: Tensor, window: Tensor) -> Tensor:
        """Overlap-add windowed frames, [N, frames, n_fft] -> [N, T], without the zeros at both ends."""
        parts = -(-self.n_fft // self.hop_length)
        if missing := parts * self.hop_length - self.n_fft:
            frames, window = F.pad(frames, (0, missing)), F.pad(window, (0, missing))
        hops = frames.reshape(len(frames), self.frames, parts, self.hop_length)
        total = frames.new_zeros(len(frames), self.frames + parts - 1, self.hop_length)
        # Adding one hop of all frames at a time accesses long runs of memory; torch's fold accesses single samples.
        for part, piece in enumerate(window.reshape(parts, self.hop_length)):
            total[:, part : part + self.frames].addcmul_(hops[:, :, part], piece)
        return total.flatten(1)[:, self.before : self.before + self.samples]

    def forward(self, signals: Tensor) -> Tensor:
        """[N, T] -> complex [N, frames, n_fft / 2 + 1]."""
        frames = F.pad(signals, (self.before, self.after)).unfold(-1, self.n_fft, self.hop_length)
        spectra: Tensor = torch.fft.rfft(frames * self.window)
        return spectra

    def inverse(self, spectra: Tensor) -> Tensor:
        """The signals [N, T] whose spectra are nearest to the given spectra (Griffin and Lim 1984)."""
        return self._overlap_add(torch.fft.irfft(spectra, n=self.n_fft), self.window) * self.weight


class _Projection:
    """One Griffin-Lim step: find the signals nearest to the target magnitudes with the phases of the given signals."""

    def __init__(
        self, target: Tensor, n_fft: int, hop_length: int, silent: int = 0, every: int = 1, power: float = 0.0
    ) -> None:
        chosen = target[:, ::every]
        gains = frame_gains(chosen, power) if power else None
        self.transform, self.every = TorchStft(n_fft, hop_length, target.shape[1], target.device, every, gains), every
        # Complex, since torch multiplies two complex arrays several times faster than a complex and a real array.
        self.target = (chosen if gains is None else chosen * gains[..., None]).to(torch.complex64)
        self.silent = silent

    def start(self, phases: Tensor) -> Tensor:
        """Signals [N, T] from initial phases [N or 1, frames, n_fft / 2 + 1] of all frames."""
        chosen = phases[:, :: self.every]
        spectra = torch.polar(torch.ones_like(chosen), chosen).to(self.target.device)
        return self._supported(self.transform.inverse(self.target * spectra))

    def _supported(self, signals: Tensor) -> Tensor:
        """Set signals [N, T] to silence in place where the target is known to be silent."""
        if self.silent:
            signals[:, : self.silent] = 0
            signals[:, -self.silent :] = 0
        return signals

    def __call__(self, signals: Tensor) -> Tensor:
        """[N, T] -> [N, T]."""
        spectra = self.transform.forward(signals)
        # Compute spectra * target / |spectra| in full passes over memory. The pairs of real numbers (x^2 + y^2, 0)
        # become (target / |spectra|, 0). A bin of 0 has no phase: 0 / tiny stays 0, so silence stays silence.
        scale = torch.conj_physical(spectra).mul_(spectra)
        torch.view_as_real(scale).clamp_(min=1e-32).rsqrt_().mul_(torch.view_as_real(self.target))
        return self._supported(self.transform.inverse(spectra.mul_(scale)))


class _BandProjection(_Projection):
    """A step for targets known only in bands: it scales the signals' own spectra to these bands.

    Many magnitudes fit the same bands, and magnitudes computed once from bands rarely belong to any signal. Here, the
    signals determine the magnitudes within the bands, so the result is several times nearer to the target bands.

    Args:
        bands: target bands, [N, frames, bands].
        matrix: weight of each bin in each band, [bands, n_fft / 2 + 1].
    """

    def __init__(
        self,
        bands: Tensor,
        matrix: Tensor,
        target: Tensor,
        n_fft: int,
        hop_length: int,
        silent: int = 0,
        every: int = 1,
        power: float = 0.0,
    ) -> None:
        super().__init__(target, n_fft, hop_length, silent, every, power)
        chosen = target[:, ::every]
        self.bands, self.into = bands[:, ::every], matrix.T.contiguous()
        # A bin is scaled by the mean of its bands' scales, weighted by the matrix; a bin outside all bands is silent.
        self.back = matrix / matrix.sum(dim=0, keepdim=True).clamp(min=1e-9)
        self.gains = frame_gains(chosen, power)[..., None] if power else None
        self.least = 1e-9 * bands.amax(dim=(1, 2), keepdim=True) + 1e-30

    def __call__(self, signals: Tensor) -> Tensor:
        """[N, T] -> [N, T]."""
        spectra = self.transform.forward(signals)
        scale = ((self.bands / (spectra.abs() @ self.into + self.least)) @ self.back).clamp(max=LOUDEST_STEP)
        scale = scale if self.gains is None else scale * self.gains
        return self._supported(self.transform.inverse(spectra * scale))


def frame_gains(magnitudes: Tensor, power: float) -> Tensor:
    """Compute (energy / energy of the loudest frame) ** -power of each frame, [N, frames, bins] -> [N, frames].

    Before an attack, a quiet frame that barely reaches the attack determines the samples better than the loud frames
    that overlap it: an error of 1 % in the loud frames is louder than the quiet frame itself, and is heard as a
    pre-echo.
    """
    energies = magnitudes.square().sum(dim=-1)
    relative = energies / energies.amax(dim=1, keepdim=True).clamp(min=1e-30)
    return (relative + QUIETEST) ** -power


def griffin_lim(
    magnitudes: Tensor,
    n_fft: int,
    hop_length: int,
    iterations: int,
    seed: int,
    phases: Tensor | None = None,
    silent: int = 0,
    bands: Tensor | None = None,
    matrix: Tensor | None = None,
) -> Tensor:
    """Find signals [N, T] whose short-time magnitudes are near `magnitudes` [N, n_fft / 2 + 1, frames].

    Fast Griffin-Lim (Perraudin, Balazs and Soendergaard, "A fast Griffin-Lim algorithm", WASPAA 2013), with a second
    momentum and over-relaxation (Nenov, Nguyen, Balazs and Bot, "Faster than fast: accelerating the Griffin-Lim
    algorithm"). Both extrapolate by differences of consistent spectra, so the differences are computed between the
    signals themselves, which are several times smaller. A search from random phases with more than `SETTLING_STEPS`
    steps explores with momentum alone until that many steps are left, unless windows overlap `COARSE` times, in which
    case exploring has no benefit at 100 steps.

    Initial phases are drawn on the CPU from `seed`, the same for every signal of the batch, so the result for a signal
    depends neither on its neighbours nor on the device's random generator. Alternatively, they are `phases`, shaped
    like `magnitudes`, in radians. With random phases and windows that overlap `COARSE` times, the first five eighths of
    the steps use every second frame, which halves their cost and does not degrade the result. Given phases are refined
    by least squares over frames weighted by `frame_gains`, strongly in the first three quarters of the steps: 2 ms
    before an attack after silence, this gains 5 to 15 dB. T is ``frames * hop_length``. The first and last `silent`
    samples are 0; each step also enforces this. If `bands` [N, bands, frames] and their `matrix` [bands, n_fft / 2 + 1]
    are given, the bands are the target, and `magnitudes`, which must fit them, are only the initial values.
    """
    target = magnitudes.transpose(1, 2).to(torch.float32).contiguous()
    projection = _Projection
    if bands is not None and matrix is not None:
        wanted = bands.transpose(1, 2).to(torch.float32).contiguous()
        projection = partial(_BandProjection, wanted, matrix)  # type: ignore[assignment]
    project = projection(target, n_fft, hop_length, silent, power=0.0 if phases is None else LATE_GAIN)
    early, early_steps, exploring_steps = project, 0, 0
    if phases is None:
        generator = torch.Generator().manual_seed(seed)
        first = torch.rand(target.shape[1:], generator=generator)[None] * (2 * np.pi)
        if COARSE * hop_length <= n_fft:
            early, early_steps = projection(target, n_fft, hop_length, silent, every=2), iterations * 5 // 8
        else:
            exploring_steps = iterations - SETTLING_STEPS
    else:
        first = phases.transpose(1, 2).contiguous()
        early, early_steps = projection(target, n_fft, hop_length, silent, power=EARLY_GAIN), iterations * 3 // 4
    found = moved = outer = previous = (early if early_steps else project).start(first)
    for step in range(iterations):
        if step:
            outer_momentum, relaxation = EXPLORING if step < exploring_steps else SETTLING
            current = torch.lerp(outer, found, relaxation)
            change = current - previous
            moved, outer = current + MOMENTUM * change, current + outer_momentum * change
            previous = current
        found = early(moved) if step < early_steps else project(moved)
    return found
