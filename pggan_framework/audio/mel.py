"""Mel bands, which are spaced like human pitch perception: the matrix from bins to bands, and its inverse."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

FINE = 8
"""Number of points per bin at which the filters are evaluated."""
NNLS_STEPS = 32


@cache
def mel_matrix(sample_rate: int, n_fft: int, bands: int) -> NDArray[np.float64]:
    """[bands, n_fft / 2]: the weights of each band over the bins below Nyquist; each row sums to 1.

    The bands are the triangles of librosa (Slaney's scale, 0 Hz to Nyquist). At low frequencies they are narrower than
    a bin, and some would fall between two bins. They are therefore evaluated with `FINE` points per bin on the linearly
    interpolated spectrum, so no band is empty.
    """
    import librosa

    fine = librosa.filters.mel(sr=sample_rate, n_fft=n_fft * FINE, n_mels=bands, norm=None, dtype=np.float64)
    bins = n_fft // 2
    # Each point interpolates between its bin and the bin above; the very last point belongs to Nyquist.
    above = np.arange(FINE) / FINE
    points = fine[:, :-1].reshape(bands, bins, FINE)
    matrix = points @ (1 - above)
    matrix[:, 1:] += (points @ above)[:, :-1]
    weights: NDArray[np.float64] = matrix / matrix.sum(axis=1, keepdims=True)
    weights.setflags(write=False)
    return weights


@cache
def mel_centres(sample_rate: int, bands: int) -> NDArray[np.float64]:
    """The peak frequencies of the bands of `mel_matrix` in Hz, [bands]."""
    import librosa

    centres: NDArray[np.float64] = librosa.mel_frequencies(n_mels=bands + 2, fmin=0.0, fmax=sample_rate / 2)[1:-1]
    centres.setflags(write=False)
    return centres


def transpose(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """[bands, bins] -> [bins, bands]: each bin is the weighted mean of the bands that contain it."""
    means: NDArray[np.float64] = matrix.T / matrix.sum(axis=0)[:, None]
    return means


def from_mel(matrix: NDArray[np.float64], bands: NDArray[np.float64], device: str) -> NDArray[np.float64]:
    """Find non-negative magnitudes [..., bins, frames] whose bands are nearest to `bands` [..., bands, frames].

    Solves non-negative least squares by multiplicative steps (Lee and Seung, "Algorithms for non-negative matrix
    factorization", 2001) that start from the transpose; silence stays 0.
    """
    import torch

    weights = torch.from_numpy(np.array(matrix)).to(device, torch.float32)
    target = weights.T @ torch.from_numpy(bands).to(device, torch.float32)
    found = target / weights.sum(dim=0)[:, None]
    square = weights.T @ weights
    for _ in range(NNLS_STEPS):
        found = found * (target / (square @ found + 1e-30))
    magnitudes: NDArray[np.float64] = found.cpu().numpy().astype(np.float64)
    return magnitudes
