"""Writing images at every depth to their places in a prepared file, from many processes."""

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
    """Writes full-size images and their box means into a file that is laid out already.

    Each process opens its own, as a context manager, and writes at places of its own.

    Args:
        path: the file.
        growth: the shapes.

    Raises:
        OSError: from all methods, if the file cannot be written.
    """

    def __init__(self, path: Path, growth: Growth) -> None:
        self.growth = growth
        self._path = path
        self._levels = sorted(read_levels(path), key=lambda level: level.shape[2] * level.shape[3])

    def put(self, start: int, pictures: Sequence[Pixels], mirror_start: int | None = None) -> None:
        """Write images [C, H, W] as numbers `start` and on, and their mirror images as `mirror_start` and on.

        With them go their checksums, where the file has places for these.
        """
        for level, means in zip(self._levels, box_means(pictures, self.growth), strict=True):
            level.write(self._file, start, means)
            if mirror_start is not None:
                level.write(self._file, mirror_start, np.ascontiguousarray(means[..., ::-1]))

    def sync(self) -> None:
        """See what was written on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> LevelWriter:
        self._file = self._path.open("r+b")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
