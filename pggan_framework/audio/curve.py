"""The logarithmic curve between linear values and those of a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def compress(values: NDArray[Any], peak: float, knee: float) -> NDArray[np.float64]:
    """sign(x) log(1 + knee |x| / peak) / log(1 + knee): -peak..peak becomes -1..1, 0 stays 0, what is beyond is held.

    `knee` is the peak over the value where the curve turns linear.
    """
    curved = np.sign(values) * np.log1p(np.abs(values) * (knee / peak)) / np.log1p(knee)
    held: NDArray[np.float64] = np.clip(curved, -1.0, 1.0)
    return held


def expand(values: NDArray[Any], peak: float, knee: float) -> NDArray[np.float64]:
    """The inverse of `compress`, exactly."""
    linear: NDArray[np.float64] = np.sign(values) * np.expm1(np.abs(values) * np.log1p(knee)) * (peak / knee)
    return linear
