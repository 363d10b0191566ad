"""Weight averages with power-function profiles, and their post-hoc synthesis (EDM2, arXiv 2312.02696)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Profile = tuple[float, float]
"""The images t shown when an average was stored, and its gamma: weights at moment s have the factor s ** gamma."""


def gamma_of(length: float) -> float:
    """Return gamma for a relative length, the standard deviation of the profile per training length (EDM2, eq. 124).

    Args:
        length: relative length, above 0 and below 0.289, the standard deviation of a uniform profile.

    Raises:
        ValueError: if `length` is outside this range.
    """
    if not 0 < length < 12**-0.5:
        raise ValueError(f"length {length} is not above 0 and below {12**-0.5:.3f}")
    roots = np.roots([1, 7, 16 - length**-2, 12 - length**-2])
    return float(roots.real.max())


def decay(gamma: float, nimg: float, batch: float) -> float:
    """Return the factor of the old average after `batch` of `nimg` images: ``(1 - batch / nimg) ** (gamma + 1)``."""
    return float(max(1 - batch / nimg, 0.0) ** (gamma + 1)) if nimg > 0 else 0.0


def _product(a: Profile, b: Profile) -> float:
    """Return the inner product of two profiles, ``(gamma + 1) * s ** gamma / t ** (gamma + 1)`` for s up to t."""
    (t, gamma), (other, delta) = a, b
    first = min(t, other)
    scale = (first / t) ** (gamma + 1) * (first / other) ** (delta + 1) / first
    return float((gamma + 1) * (delta + 1) / (gamma + delta + 1) * scale)


def coefficients(stored: Sequence[Profile], target: Profile) -> list[float]:
    """Return the factors with which stored averages sum closest to the target profile (EDM2, sec. 3.1, appendix C).

    They are normalized to sum to 1, so that constant weights are preserved.
    """
    count = len(stored)
    system = np.ones((count + 1, count + 1))
    system[:count, :count] = [[_product(a, b) for b in stored] for a in stored]
    system[count, count] = 0
    found, *_ = np.linalg.lstsq(system, np.array([*(_product(a, target) for a in stored), 1.0]), rcond=None)
    return [float(value) for value in found[:count]]
