"""Check and reserve disk space before writing: HDF5 and memory maps crash on a full disk."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from pggan_framework.errors import UserError

MARGIN = 1 << 20
"""Bytes for what a file holds besides its data."""
_UNKNOWN = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)
"""What file systems say that cannot reserve."""


def require_space(folder: Path, needed: int, advice: str) -> None:
    """Fail at once if a disk has too little space.

    Args:
        folder: where the file is to be.
        needed: its bytes.
        advice: what to do, for the message.

    Raises:
        UserError: if fewer are free.
    """
    free = shutil.disk_usage(folder).free
    if needed + MARGIN > free:
        raise UserError(f"{folder} has too little space: {_size(needed)} are needed, {_size(free)} are free; {advice}")


def reserve(file: int, size: int) -> None:
    """Allocate the blocks of an open file, so that no later write or access in its first `size` bytes can fail.

    Args:
        file: its descriptor; what is in it stays.
        size: its bytes.

    Raises:
        OSError: if the disk has no room.
    """
    if size and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file, 0, size)
        except OSError as error:
            if error.errno not in _UNKNOWN:
                raise


def reserve_file(path: Path) -> None:
    """Allocate the blocks of a sparse file at its present size."""
    with path.open("r+b") as file:
        reserve(file.fileno(), os.fstat(file.fileno()).st_size)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
