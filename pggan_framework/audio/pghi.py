"""Phases from magnitudes without a search: phase-gradient heap integration.

Pruša, Balazs and Søndergaard, "A noniterative method for reconstruction of phase from STFT magnitude", IEEE/ACM TASLP
2017. The logarithm of the magnitudes and the phase are a pair: the slope of one along frequency gives that of the other
along time, and the other way round. The paper's gradients are exact for a Gaussian window and take a Hann window for
the Gaussian nearest to it (gamma = 0.25645 n_fft^2). These here are exact for the Hann window itself, along time for a
steady partial and along frequency for a click, and agree with the paper's where the slopes are small.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1e-4
"""Where the magnitude is below this share of the loudest, -80 dB, the phase is random."""
FLOOR = 1e-10
LOUDER_SHARE = 1e-3
"""How much the louder end of an edge counts next to the quieter: where the quieter are alike, it decides."""
ALL, NOT_LAST, NOT_FIRST = slice(None), slice(-1), slice(1, None)
NEIGHBOURS = (((ALL, NOT_LAST), (ALL, NOT_FIRST)), ((NOT_LAST, ALL), (NOT_FIRST, ALL)))
"""All points of a plane that have a next one, and those: along frames, along bins."""


def phase_gradients(
    magnitudes: NDArray[Any], n_fft: int, hop_length: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Magnitudes [bins, frames] -> how far the phase moves per frame and per bin, radians, both [bins, frames].

    Phases are counted from each frame's centre.
    """
    levels = np.log(np.maximum(magnitudes.astype(np.float64), max(float(magnitudes.max()) * FLOOR, 1e-300)))
    along_bins, along_frames = (
        np.gradient(levels, axis=axis) if levels.shape[axis] > 1 else np.zeros_like(levels) for axis in (0, 1)
    )
    # A partial d bins above bin k has there, with Hann's main lobe H, the slope log(H(d - 1) / H(d + 1)) / 2
    # = log((1 + d)(2 + d) / ((1 - d)(2 - d))) / 2, which is solved for d.
    slope = np.tanh(along_bins)
    slope = np.where(np.abs(slope) < 1e-6, 1e-6, slope)
    offset = (3 - np.sqrt(9 - 8 * slope**2)) / (2 * slope)
    bins = np.arange(levels.shape[0])[:, None]
    per_frame = 2 * np.pi * hop_length / n_fft * (bins + offset)
    # A click t samples after a frame's centre has there the magnitude cos(pi t / n_fft)^2; the frames before and after
    # see it at t + hop and t - hop. The slope is solved for pi t / n_fft, and the phase at bin k is -2 pi k t / n_fft.
    per_bin = -2 * np.arctan(np.tanh(along_frames / 2) / np.tan(np.pi * hop_length / n_fft))
    return per_frame, per_bin


def integrate_phases(magnitudes: NDArray[Any], n_fft: int, hop_length: int, seed: int = 0) -> NDArray[np.float64]:
    """Magnitudes [bins, frames], linear, -> phases [bins, frames] in radians, counted from each frame's centre.

    From the loudest point outwards, which has phase 0, each point takes its phase from a neighbour by the mean of their
    gradients, along the loudest ways there are. Quiet points are random, from `seed`.
    """
    bins, frames = magnitudes.shape
    ahead = _loudest_ways(magnitudes)
    away = np.arange(bins * frames) - ahead
    per_frame, per_bin = (plane.ravel() for plane in phase_gradients(magnitudes, n_fft, hop_length))
    steps = np.where(np.abs(away) == frames, per_bin + per_bin[ahead], per_frame + per_frame[ahead])
    # The sum of all steps on each way, in as many passes as the longest has doublings: first one step, then two, four.
    phases = np.sign(away) * steps / 2
    while np.any(ahead != (further := ahead[ahead])):
        phases += phases[ahead]
        ahead = further
    random = np.random.default_rng(seed).uniform(0, 2 * np.pi, (bins, frames))
    return np.where(magnitudes > TOLERANCE * magnitudes.max(), phases.reshape(bins, frames), random)


def _loudest_ways(magnitudes: NDArray[Any]) -> NDArray[np.intp]:
    """[bins, frames] -> for each point, counted frames first, the next one on the way to the loudest: [bins * frames].

    The paper keeps a heap of the points that have a phase and always continues from the loudest, much as Prim's
    algorithm grows a spanning tree. Here all edges are sorted once (Kruskal), by the quieter of their two points and
    then by the louder: as good by measurement, and scipy does it five times faster than a heap in Python.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

    bins, frames = magnitudes.shape
    points = np.arange(bins * frames, dtype=np.int32).reshape(bins, frames)
    quietness = 1 - np.log(np.maximum(magnitudes / (magnitudes.max() or 1.0), FLOOR))
    lengths = np.zeros((bins, frames, 2))
    ends = np.full((bins, frames, 2), -1, dtype=np.int32)
    for way, (here, there) in enumerate(NEIGHBOURS):
        one, other = quietness[here], quietness[there]
        lengths[..., way][here] = np.maximum(one, other) + LOUDER_SHARE * np.minimum(one, other)
        ends[..., way][here] = points[there]
    exist = ends >= 0
    counts = np.append(0, exist.sum(axis=2).cumsum()).astype(np.int32)  # as the ends are, for scipy before 1.12
    edges = csr_array((lengths[exist], ends[exist], counts), shape=(points.size, points.size))
    tree = minimum_spanning_tree(edges, overwrite=True)
    loudest = int(magnitudes.argmax())
    ahead: NDArray[np.intp] = breadth_first_order(tree, loudest, directed=False)[1].astype(np.intp)
    ahead[loudest] = loudest
    return ahead
