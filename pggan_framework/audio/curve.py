"""The logarithmic curve between linear values and image values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def compress(values: NDArray[Any], peak: float, knee: float) -> NDArray[np.float64]:
    """sign(x) log(1 + knee |x| / peak) / log(1 + knee): -peak..peak becomes -1..1, 0 stays 0; clips the rest.

    `knee` is the ratio of the peak to the value at which the curve becomes linear.
    """
    # In place, since this runs for every value of every image.
    curved: NDArray[np.float64] = np.abs(values)
    curved *= knee / peak
    # numpy does not vectorize log1p; log loses 1e-16 of the range, and 0 stays exact.
    curved += 1.0
    np.log(curved, out=curved)
    curved /= np.log(1.0 + knee)
    np.minimum(curved, 1.0, out=curved)
    np.copysign(curved, values, out=curved)
    curved += 0.0  # -0 becomes 0
    return curved


def expand(values: NDArray[Any], peak: float, knee: float) -> NDArray[np.float64]:
    """The exact inverse of `compress`."""
    linear: NDArray[np.float64] = np.sign(values) * np.expm1(np.abs(values) * np.log1p(knee)) * (peak / knee)
    return linear
