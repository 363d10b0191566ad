"""Write images at every depth to their positions in a prepared file, from many processes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from pggan_framework.data.base import Pixels, box_means
from pggan_framework.data.store.h5_file import read_levels
from pggan_framework.schedules.growth import Growth


class LevelWriter:
    """Writes full-size images and their box means into a file whose layout is complete.

    Each process opens its own writer, as a context manager, and writes at different positions.

    Args:
        path: path of the file.
        growth: shapes of the images at all depths.

    Raises:
        OSError: from all methods, if the file cannot be written.
    """

    def __init__(self, path: Path, growth: Growth) -> None:
        self.growth = growth
        self._path = path
        self._levels = sorted(read_levels(path), key=lambda level: level.shape[2] * level.shape[3])

    def put(self, start: int, pictures: Sequence[Pixels], mirror_start: int | None = None) -> None:
        """Write images [C, H, W] from index `start` on, and their mirror images from `mirror_start` on.

        Their checksums are written too, if the file has space for them.
        """
        for level, means in zip(self._levels, box_means(pictures, self.growth), strict=True):
            level.write(self._file, start, means)
            if mirror_start is not None:
                level.write(self._file, mirror_start, np.ascontiguousarray(means[..., ::-1]))

    def sync(self) -> None:
        """Flush the written data to disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> LevelWriter:
        self._file = self._path.open("r+b")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
