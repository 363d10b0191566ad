"""What was computed of real data once, kept on disk for the next time."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from pggan_framework.storage.atomic import atomic_path

FORMAT = 1
"""Raised when what is stored is computed otherwise."""


class FeatureCache:
    """Features of real pictures by what they were computed from.

    A file is written whole or not at all, and carries a checksum: one that is damaged counts as none. A disk that is
    full or read-only costs nothing but the time of computing them again.

    Args:
        folder: where the files are; None to keep nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def path(self, key: Mapping[str, object]) -> Path | None:
        """The file of `key`."""
        digest = hashlib.sha256(_text(key).encode()).hexdigest()[:32]
        return None if self.folder is None else self.folder / f"features-{digest}.npz"

    def load(self, key: Mapping[str, object], count: int) -> NDArray[np.float32] | None:
        """Features float32 [count, F]; None if they are not there, or the file is not what it should be."""
        path = self.path(key)
        if path is None or not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as file:
                told, values = str(file["key"]), file["values"]
        except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error, NotImplementedError, RuntimeError):
            return None
        if told != _text(key) or values.dtype != np.float32 or values.ndim != 2 or len(values) != count:
            return None
        return values if np.all(np.isfinite(values)) else None

    def save(self, key: Mapping[str, object], values: NDArray[np.float32]) -> None:
        """Keep features float32 [N, F]."""
        path = self.path(key)
        if path is None:
            return
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.savez(file, key=np.array(_text(key)), values=values)


def _text(key: Mapping[str, object]) -> str:
    return json.dumps({"format": FORMAT, **key}, sort_keys=True)
