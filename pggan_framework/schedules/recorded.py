"""What a schedule by the clock has set before each step: with it, a stretch of such a run can be recomputed."""

from __future__ import annotations

from array import array

import numpy as np
import torch

MOST = 1 << 17
"""Rows that are kept, 32 bytes each: the newest."""
_COLUMNS = 4


class Recorded:
    """Rows (images, depth, alpha, factor of the learning rates), one for each change.

    Args:
        rows: of a checkpoint, float64 [N, 4]; None for none.
        most: how many are kept at least; up to twice as many are held.

    Raises:
        ValueError: if the rows are none.
    """

    def __init__(self, rows: torch.Tensor | None = None, most: int = MOST) -> None:
        if rows is not None and not (rows.dim() == 2 and rows.shape[1] == _COLUMNS and bool(rows.isfinite().all())):
            raise ValueError("the record of the schedule is damaged")
        self._rows = array("d", [] if rows is None else rows.double().reshape(-1).tolist())
        self._most = most

    def note(self, nimg: int, depth: int, alpha: float, factor: float) -> None:
        """Add a row for the step that starts at `nimg` images, where something has changed since the last row."""
        rows = self._rows
        if rows[1 - _COLUMNS :].tolist() != [depth, alpha, factor]:
            rows.extend((nimg, depth, alpha, factor))
        if len(rows) > 2 * self._most * _COLUMNS:
            del rows[: -self._most * _COLUMNS]

    def at(self, nimg: int) -> tuple[int, float, float] | None:
        """Depth, alpha and factor of the step that starts at `nimg` images; None before the first row."""
        first, last = 0, len(self._rows) // _COLUMNS
        while first < last:  # the first row after `nimg`
            middle = (first + last) // 2
            if self._rows[middle * _COLUMNS] <= nimg:
                first = middle + 1
            else:
                last = middle
        if first == 0:
            return None
        _, depth, alpha, factor = self._rows[(first - 1) * _COLUMNS : first * _COLUMNS]
        return int(depth), alpha, factor

    def rows(self) -> torch.Tensor:
        """The newest rows, float64 [N, 4]."""
        kept = self._rows[-self._most * _COLUMNS :]
        return torch.from_numpy(np.array(kept)).reshape(-1, _COLUMNS)
