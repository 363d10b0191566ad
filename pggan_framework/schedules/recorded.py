"""Record of the values set by a schedule in seconds, from which a part of such a run can be recomputed."""

from __future__ import annotations

from array import array

import numpy as np
import torch

MOST = 1 << 17
"""Number of the newest rows that are kept, 32 bytes each."""
_COLUMNS = 4


class Recorded:
    """Rows (images, depth, alpha, learning-rate factor), one per change.

    Args:
        rows: rows from a checkpoint, float64 [N, 4]; None for an empty record.
        most: smallest number of rows to keep; up to twice as many are in memory.

    Raises:
        ValueError: if the rows are invalid.
    """

    def __init__(self, rows: torch.Tensor | None = None, most: int = MOST) -> None:
        if rows is not None and not (rows.dim() == 2 and rows.shape[1] == _COLUMNS and bool(rows.isfinite().all())):
            raise ValueError("the record of the schedule is damaged")
        self._rows = array("d", [] if rows is None else rows.double().reshape(-1).tolist())
        self._most = most

    def note(self, nimg: int, depth: int, alpha: float, factor: float) -> None:
        """Add a row for the step that starts at `nimg` images if a value has changed since the last row."""
        rows = self._rows
        if rows[1 - _COLUMNS :].tolist() != [depth, alpha, factor]:
            rows.extend((nimg, depth, alpha, factor))
        if len(rows) > 2 * self._most * _COLUMNS:
            del rows[: -self._most * _COLUMNS]

    def at(self, nimg: int) -> tuple[int, float, float] | None:
        """Return depth, alpha and factor of the step that starts at `nimg` images; None before the first row."""
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
        """Return the newest rows, float64 [N, 4]."""
        kept = self._rows[-self._most * _COLUMNS :]
        return torch.from_numpy(np.array(kept)).reshape(-1, _COLUMNS)
