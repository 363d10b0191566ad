"""Verify the checksums of checkpoint zips, which torch does not check when it loads one."""

from __future__ import annotations

import stat
import zipfile
from functools import lru_cache
from pathlib import Path

from pggan_framework.errors import DamagedError

MAGIC = b"PK\x03\x04"
_CHUNK = 1 << 20
_RAISED = (zipfile.BadZipFile, EOFError, ValueError, RuntimeError, KeyError, IndexError, OverflowError, OSError)
"""What a damaged zip raises; RuntimeError and NotImplementedError where a bit says that it is encrypted or packed."""


def verify_zip(path: Path) -> None:
    """Check every member of an uncompressed zip against its CRC-32.

    Nothing is unpacked, and at most 1 MiB is in memory.

    Raises:
        DamagedError: if a member differs, the file is cut short or no zip, or its members are packed, share bytes or
            names (a small file that takes a large memory).
    """
    try:
        found = path.stat()
        size = found.st_size
        if not stat.S_ISREG(found.st_mode):  # a pipe would never end
            raise DamagedError("it is not a file")
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise DamagedError("it is not a zip of torch.save, or its start is lost; nothing in it was run")
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len({member.filename for member in members}) < len(members):
                raise DamagedError("two of its members have one name")
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise DamagedError("its members are compressed, which torch.save does not do")
            if sum(member.file_size for member in members) > size:
                raise DamagedError("its members are larger than the file")
            for member in members:
                with archive.open(member) as content:
                    while content.read(_CHUNK):  # the end of a member compares its CRC-32
                        pass
    except _RAISED as error:
        raise DamagedError(str(error) or type(error).__name__) from error


def verify_once(path: Path) -> None:
    """As `verify_zip`, and a file that has not changed since is not read again.

    Raises:
        DamagedError: as `verify_zip`.
        OSError: if there is no such file.
    """
    found = path.stat()
    _verify_once(path, found.st_mtime_ns, found.st_size, found.st_ino)


@lru_cache(maxsize=256)
def _verify_once(path: Path, changed: int, size: int, inode: int) -> None:
    verify_zip(path)
