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
        levels = sorted(read_levels(path), key=lambda level: level.shape[2] * level.shape[3])
        self._offsets = [level.offset for level in levels]

    def put(self, start: int, pictures: Sequence[Pixels], mirror_start: int | None = None) -> None:
        """Write images [C, H, W] as numbers `start` and on, and their mirror images as `mirror_start` and on."""
        for offset, means in zip(self._offsets, box_means(pictures, self.growth), strict=True):
            assert offset is not None
            self._file.seek(offset + start * means[0].nbytes)
            self._file.write(means.data)
            if mirror_start is not None:
                self._file.seek(offset + mirror_start * means[0].nbytes)
                self._file.write(np.ascontiguousarray(means[..., ::-1]).data)

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
