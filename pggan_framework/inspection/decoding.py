"""The codec's reconstruction error on these data, for several decoder settings."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import Codec, PhaseStart, Wave
from pggan_framework.audio.measure import spectral_convergence

COMPARED = 2
"""Number of clips on which other settings are tried, since each may take seconds."""
GOOD, POOR = -20.0, -10.0
"""dB: below the first, a decoded sound hardly differs from the original; above the second, it is clearly worse."""
ALIKE = 0.05
"""Settings whose errors differ by at most this many dB count as equal."""


@dataclass(frozen=True)
class Decoding:
    """Arguments of `Codec.decode`; the defaults equal the defaults of SoundSaver.

    Args:
        griffin_lim_iter: Griffin-Lim iterations.
        phase_start: initial phases of the iterations.
        refine_iter: Griffin-Lim iterations that start from the phases in the image.
        seed: random seed of the initial phases.
    """

    griffin_lim_iter: int = 32
    phase_start: PhaseStart = "auto"
    refine_iter: int = 16
    seed: int = 0

    def decode(self, codec: Codec, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        """Decode [N, C, bins, frames] to [N, T] or [N, channels, T]."""
        waves: NDArray[np.float32] = codec.decode(
            pictures,
            self.seed,
            self.griffin_lim_iter,
            phase_start=self.phase_start,
            refine_iter=self.refine_iter,
        )
        return waves


@dataclass(frozen=True)
class RoundTrip:
    """The reconstruction error of decoded sounds.

    Args:
        waves: decoded sounds.
        decibels: spectral convergence of each sound in dB; lower is better.
        seconds: computing time per clip in seconds.
    """

    waves: NDArray[np.float32]
    decibels: list[float]
    seconds: float

    @property
    def mean(self) -> float:
        """Mean over the clips in dB; -inf if all sounds are exact."""
        found = [value for value in self.decibels if isfinite(value)]
        return sum(found) / len(found) if found else -float("inf")


def round_trip(codec: Codec, originals: Sequence[Wave], pictures: NDArray[np.float32], decoding: Decoding) -> RoundTrip:
    """Decode `pictures` [N, C, bins, frames] and compare the sounds with the originals."""
    start = time.perf_counter()
    waves = decoding.decode(codec, pictures)
    seconds = (time.perf_counter() - start) / len(pictures)
    found = [spectral_convergence(wave, decoded) for wave, decoded in zip(originals, waves, strict=True)]
    return RoundTrip(waves, found, seconds)


def alternatives(codec: Codec, picture: NDArray[np.float32], usual: Decoding) -> Iterator[tuple[str, Decoding]]:
    """Yield decoder settings, as flags, that affect this codec and are worth comparing with the defaults.

    To find these settings, it decodes `picture` [C, bins, frames] with and without each setting, using few iterations.
    """
    plain = replace(usual, griffin_lim_iter=0, refine_iter=0)
    bare = plain.decode(codec, picture[None])

    def reads(**changes: object) -> bool:
        return not np.array_equal(bare, replace(plain, **changes).decode(codec, picture[None]))  # type: ignore[arg-type]

    if reads(griffin_lim_iter=1):
        more = 3 * max(usual.griffin_lim_iter, 1)
        yield f"--SoundSaver.griffin_lim_iter {more}", replace(usual, griffin_lim_iter=more)
    if usual.refine_iter and reads(refine_iter=1):
        yield "--SoundSaver.refine_iter 0", replace(usual, refine_iter=0)
    if reads(phase_start="pghi"):
        yield "--SoundSaver.phase_start pghi", replace(usual, phase_start="pghi")


def quality(decibels: float) -> str:
    """Rate the spectral convergence of a round trip, in words."""
    if decibels <= GOOD:
        return "hardly distinguishable from the original"
    return "close to the original, but audibly different" if decibels <= POOR else "clearly worse than the original"
