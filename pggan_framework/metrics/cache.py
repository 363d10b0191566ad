"""A disk cache of values computed from real data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pggan_framework.storage.atomic import atomic_path
from pggan_framework.storage.zips import RAISED

FORMAT = 1
"""Increase it when the computation of stored values changes."""


class FeatureCache:
    """Stored features of real images. The key of an entry contains everything that the features depend on.

    Files are written atomically with a checksum; damaged files are ignored. On a full or read-only disk the features
    are recomputed.

    Args:
        folder: folder of the files; None disables the cache.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def path(self, key: Mapping[str, object]) -> Path | None:
        """Return the file of `key`."""
        digest = hashlib.sha256(_text(key).encode()).hexdigest()[:32]
        return None if self.folder is None else self.folder / f"features-{digest}.npz"

    def load(self, key: Mapping[str, object], count: int) -> NDArray[np.float32] | None:
        """Load features float32 [count, F]; None if they are not stored, or the file is damaged."""
        path = self.path(key)
        if path is None or not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as file:
                told, values = str(file["key"]), file["values"]
        except RAISED:
            return None
        if told != _text(key) or values.dtype != np.float32 or values.ndim != 2 or len(values) != count:
            return None
        return values if np.all(np.isfinite(values)) else None

    def save(self, key: Mapping[str, object], values: NDArray[np.float32]) -> None:
        """Store features float32 [N, F]."""
        path = self.path(key)
        if path is None:
            return
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.savez(file, key=np.array(_text(key)), values=values)


def _text(key: Mapping[str, object]) -> str:
    return json.dumps({"format": FORMAT, **key}, sort_keys=True)
