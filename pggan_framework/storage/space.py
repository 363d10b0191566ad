"""Check and reserve disk space before writing, since HDF5 and memory maps crash on a full disk."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from pggan_framework.errors import UserError

MARGIN = 1 << 20
"""Number of bytes that a file needs in addition to its data."""
_UNKNOWN = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)
"""Error codes of file systems that cannot reserve space."""


def require_space(folder: Path, needed: int, advice: str) -> None:
    """Raise an error if the disk has too little space.

    Args:
        folder: folder of the file.
        needed: size of the file in bytes.
        advice: advice to the user, for the message.

    Raises:
        UserError: if fewer bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if needed + MARGIN > free:
        raise UserError(f"{folder} has too little space: {_size(needed)} are needed, {_size(free)} are free; {advice}")


def reserve(file: int, size: int) -> None:
    """Allocate the blocks of an open file, so that later writes within its first `size` bytes cannot fail.

    Args:
        file: descriptor of the file; existing contents are preserved.
        size: number of bytes.

    Raises:
        OSError: if the disk has too little space.
    """
    if size and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file, 0, size)
        except OSError as error:
            if error.errno not in _UNKNOWN:
                raise


def reserve_file(path: Path) -> None:
    """Allocate the blocks of a sparse file at its current size."""
    with path.open("r+b") as file:
        reserve(file.fileno(), os.fstat(file.fileno()).st_size)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
