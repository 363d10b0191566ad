"""Averages of weights with power-function profiles, and any one of them from stored others (EDM2, arXiv 2312.02696)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Profile = tuple[float, float]
"""Images t that were trained on when an average was taken, and its gamma: weights of moment s count as s ** gamma."""


def gamma_of(length: float) -> float:
    """Gamma of a relative length, the profile's standard deviation as a fraction of the training (equation 124 there).

    Args:
        length: above 0 to below 0.289, which is the deviation where all moments count alike.

    Raises:
        ValueError: if it is outside.
    """
    if not 0 < length < 12**-0.5:
        raise ValueError(f"length {length} is not above 0 and below {12**-0.5:.3f}")
    roots = np.roots([1, 7, 16 - length**-2, 12 - length**-2])
    return float(roots.real.max())


def decay(gamma: float, nimg: float, batch: float) -> float:
    """What remains of an average after `batch` more images, `nimg` then: ``(1 - batch / nimg) ** (gamma + 1)``."""
    return float(max(1 - batch / nimg, 0.0) ** (gamma + 1)) if nimg > 0 else 0.0


def _product(a: Profile, b: Profile) -> float:
    """The integral of two profiles' product; each is ``(gamma + 1) * s ** gamma / t ** (gamma + 1)`` up to its t."""
    (t, gamma), (other, delta) = a, b
    first = min(t, other)
    scale = (first / t) ** (gamma + 1) * (first / other) ** (delta + 1) / first
    return float((gamma + 1) * (delta + 1) / (gamma + delta + 1) * scale)


def coefficients(stored: Sequence[Profile], target: Profile) -> list[float]:
    """Factors of stored averages whose sum is nearest to the target's profile (section 3.1 and appendix C there).

    They are made to add up to 1, so that weights that did not change stay the same.
    """
    count = len(stored)
    system = np.ones((count + 1, count + 1))
    system[:count, :count] = [[_product(a, b) for b in stored] for a in stored]
    system[count, count] = 0
    found, *_ = np.linalg.lstsq(system, np.array([*(_product(a, target) for a in stored), 1.0]), rcond=None)
    return [float(value) for value in found[:count]]
