"""Reconstruct waves from magnitudes alone, with initial phases followed by Griffin-Lim."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import PhaseStart
from pggan_framework.audio.stft import alternating

AT_ONCE = 1 << 19
"""Number of magnitudes that are processed together, which fits the processor's cache."""


def from_magnitudes(
    magnitudes: NDArray[Any],
    n_fft: int,
    hop_length: int,
    iterations: int,
    seed: int,
    device: str,
    start: PhaseStart | NDArray[Any],
    silent: int = 0,
    bands: NDArray[Any] | None = None,
    matrix: NDArray[Any] | None = None,
) -> NDArray[np.float32]:
    """Reconstruct waves [N, channels, T] from linear magnitudes [N, channels, n_fft / 2, frames]; Nyquist is silent.

    Args:
        magnitudes: target magnitudes of the short-time spectrum.
        n_fft: window length in samples.
        hop_length: number of samples between frames.
        iterations: Griffin-Lim steps.
        seed: random seed of the initial phases.
        device: device that runs the search.
        start: ``pghi`` or ``auto`` for phase-gradient heap integration, ``random``, or an array of phases shaped
            like `magnitudes`, measured at each frame's centre.
        silent: number of samples at both ends that are known to be silent.
        bands: linear target bands, [N, channels, bands, frames], if only bands of magnitudes are known.
        matrix: weight of each bin in each band, [bands, n_fft / 2].
    """
    import torch

    from pggan_framework.audio.griffin_lim import griffin_lim
    from pggan_framework.audio.pghi import integrate_phases

    number, channels, bins, frames = magnitudes.shape
    target = np.zeros((number * channels, bins + 1, frames), dtype=np.float32)
    target[:, :-1] = magnitudes.reshape(-1, bins, frames)
    phases: NDArray[np.float32] | None = None
    if not isinstance(start, str):
        phases = _from_start(start.reshape(-1, bins, frames))
    elif start != "random":
        phases = _from_start(np.stack([integrate_phases(plane[:-1], n_fft, hop_length, seed) for plane in target]))
    size = max(AT_ONCE // ((bins + 1) * frames), 1)
    weights = None if matrix is None else torch.from_numpy(np.pad(matrix, [(0, 0), (0, 1)])).float().to(device)
    waves = []
    for first in range(0, len(target), size):
        part = torch.from_numpy(target[first : first + size]).to(device)
        known = None if phases is None else torch.from_numpy(phases[first : first + size]).to(device)
        wanted = None
        if bands is not None:
            wanted = torch.from_numpy(bands.reshape(-1, *bands.shape[2:])[first : first + size]).to(device)
        found = griffin_lim(part, n_fft, hop_length, iterations, seed, known, silent, wanted, weights)
        waves.append(found.cpu().numpy())
    return np.concatenate(waves).reshape(number, channels, -1)


def _from_start(phases: NDArray[Any]) -> NDArray[np.float32]:
    """Convert phases at each frame's centre, [N, bins, frames], to phases at its start, [N, bins + 1, frames]."""
    opposite = alternating(phases.shape[1])[:, None] < 0
    turned = np.remainder(phases + np.pi * opposite, 2 * np.pi)
    return np.pad(turned, [(0, 0), (0, 1), (0, 0)]).astype(np.float32)
