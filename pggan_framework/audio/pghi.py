"""Phases from magnitudes without a search: phase-gradient heap integration.

Pruša, Balazs and Søndergaard, "A noniterative method for reconstruction of phase from STFT magnitude", IEEE/ACM TASLP
2017. The logarithm of the magnitudes and the phase are a pair: the slope of one along frequency gives that of the other
along time, and the other way round. The paper's gradients are exact for a Gaussian window and take a Hann window for
the Gaussian nearest to it (gamma = 0.25645 n_fft^2). These here are exact for the Hann window itself, along time for a
steady partial and along frequency for a click, and agree with the paper's where the slopes are small.
"""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1e-4
"""Where the magnitude is below this share of the loudest, -80 dB, the phase is random."""
FLOOR = 1e-10


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

    From the loudest point outwards, each point takes its phase from the loudest neighbour that has one, by the mean of
    their gradients. What cannot be reached starts anew from its own loudest point. Quiet points are random, from
    `seed`. The paper's first, 0 for each start.
    """
    bins, frames = magnitudes.shape
    per_frame, per_bin = phase_gradients(magnitudes, n_fft, hop_length)
    random = np.random.default_rng(seed).uniform(0, 2 * np.pi, (bins, frames))
    # Python lists and one index into a frame of ones already done: the fastest a heap gets without a compiler.
    width = frames + 2
    loud = np.pad(magnitudes > TOLERANCE * magnitudes.max(), 1).ravel()
    waiting = bytearray(loud.tobytes())
    phases, time_step, bin_step, rank = (
        np.pad(plane, 1).ravel().tolist() for plane in (random, per_frame / 2, per_bin / 2, -magnitudes)
    )
    order = np.flatnonzero(loud)
    push, pop = heapq.heappush, heapq.heappop
    for first in order[np.argsort(np.pad(-magnitudes, 1).ravel()[order], kind="stable")].tolist():
        if not waiting[first]:
            continue
        waiting[first] = 0
        phases[first] = 0.0
        heap = [(rank[first], first)]
        while heap:
            here = pop(heap)[1]
            phase, step_time, step_bin = phases[here], time_step[here], bin_step[here]
            after = here + 1
            if waiting[after]:
                waiting[after] = 0
                phases[after] = phase + step_time + time_step[after]
                push(heap, (rank[after], after))
            before = here - 1
            if waiting[before]:
                waiting[before] = 0
                phases[before] = phase - step_time - time_step[before]
                push(heap, (rank[before], before))
            above = here + width
            if waiting[above]:
                waiting[above] = 0
                phases[above] = phase + step_bin + bin_step[above]
                push(heap, (rank[above], above))
            below = here - width
            if waiting[below]:
                waiting[below] = 0
                phases[below] = phase - step_bin - bin_step[below]
                push(heap, (rank[below], below))
    return np.array(phases).reshape(bins + 2, width)[1:-1, 1:-1]
