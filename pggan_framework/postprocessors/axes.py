"""Chart axes: a value range, its round tick values and their positions."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log10

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Tick = tuple[float, float]
"""A value, and its position on the axis from 0 to 1."""

CLOSEST = 0.7
"""Smallest distance of two tick labels, as a fraction of the space per label."""


def nice_step(span: float, count: float) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that fits `span` at most `count` times."""
    least = span / max(count, 1e-9)
    power = 10.0 ** floor(log10(least))
    return next(step for factor in (1, 2, 5, 10) if (step := factor * power) >= least * (1 - 1e-9))


def time_ticks(seconds: float, count: float, before: float = 0.0) -> list[Tick]:
    """Return round times from 0 on, at most `count` steps, for an image of `seconds` of which `before` precede 0."""
    step = nice_step(seconds, count)
    last = floor((seconds - before) / step + 1e-9)
    return [(index * step, (before + index * step) / seconds) for index in range(last + 1)]


def frequency_ticks(row_hz: NDArray[np.float64], nyquist: float, count: float) -> list[Tick]:
    """Return round frequencies from 0 Hz to `nyquist` and their positions above the bottom of an image.

    Evenly spaced rows get even steps; mel bands get 0, 100, 1000 ..., then 500 ..., then 200 ... as space permits.

    Args:
        row_hz: the centre frequencies of the rows, [bins], all below `nyquist`.
        nyquist: half the sample rate, the top of the axis.
        count: largest number of steps.
    """
    bins = len(row_hz)
    if bins < 3 or np.allclose(np.diff(row_hz), row_hz[1] - row_hz[0]):
        step = nice_step(nyquist, count)
        values = [index * step for index in range(floor(nyquist / step + 1e-9) + 1)]
    else:
        decades = [10.0**power for power in range(1, floor(log10(nyquist)) + 1)]
        values = [0.0, *(factor * decade for factor in (1, 5, 2) for decade in reversed(decades))]
    # Rows are drawn around their centres; Nyquist itself is just above the last.
    places = np.interp(values, [*row_hz, nyquist], np.arange(bins + 1) + 0.5) / bins
    chosen: list[Tick] = []
    for value, place in zip(values, np.minimum(places, 1).tolist(), strict=True):
        if value <= nyquist and all(abs(place - other) * count > CLOSEST for _, other in chosen):
            chosen.append((value, place))
    return sorted(chosen)


@dataclass(frozen=True)
class Axis:
    """A mapping from values to positions from 0 to 1.

    Args:
        low: the value at 0.
        high: the value at 1, above `low`.
        log: True for a logarithmic axis; `low` is then above 0.
    """

    low: float
    high: float
    log: bool = False

    @classmethod
    def around(cls, values: Floats, log: bool = False) -> Axis:
        """Build the axis that contains all finite `values`; a range of zero width is widened."""
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (1.0, 1.0)
        if log:
            return cls(low, high, True) if high > low * 1.001 else cls(low / 2, high * 2, True)
        room = abs(low) / 2 or 0.5
        return cls(low, high) if high - low > 1e-9 * max(abs(low), abs(high)) else cls(low - room, high + room)

    def place(self, values: Floats) -> Floats:
        """Return the positions of values, 0 to 1."""
        if not self.log:
            places: Floats = (values - self.low) / (self.high - self.low)
            return places
        logarithms: Floats = (np.log(values) - np.log(self.low)) / (np.log(self.high) - np.log(self.low))
        return logarithms

    def ticks(self, count: float) -> list[float]:
        """Return about `count` round values at most; powers of ten if a logarithmic axis contains at least two."""
        if self.log:
            powers = range(ceil(log10(self.low) - 1e-9), floor(log10(self.high) + 1e-9) + 1)
            if len(powers) > 1:
                return [10.0**power for power in powers[:: ceil(len(powers) / max(count, 1))]]
        step = nice_step(self.high - self.low, count)
        first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
        return [index * step for index in range(first, last + 1)]
