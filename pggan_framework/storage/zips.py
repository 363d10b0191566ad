"""Verify the checksums of checkpoint zips, which torch does not check when it loads a checkpoint."""

from __future__ import annotations

import lzma
import stat
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path

from pggan_framework.errors import DamagedError

MAGIC = b"PK\x03\x04"
_CHUNK = 1 << 20
RAISED = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError),
    *(EOFError, ValueError, LookupError, OverflowError, RuntimeError),
)
"""Exceptions of damaged zips. RuntimeError: a member is encrypted; its subclass NotImplementedError: a member needs a
compression, or a version of the format, that Python does not support."""


def verify_zip(path: Path) -> None:
    """Check every member of an uncompressed zip against its CRC-32.

    Nothing is unpacked, and at most 1 MiB is held in memory.

    Raises:
        DamagedError: if a member differs, the file is truncated or not a zip, or members are compressed, overlap or
            have the same name (such a file could use much memory).
    """
    try:
        found = path.stat()
        size = found.st_size
        if not stat.S_ISREG(found.st_mode):  # reading a pipe would never end
            raise DamagedError("it is not a file")
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise DamagedError("it is not a zip of torch.save, or its start is lost; nothing in it was executed")
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
                    while content.read(_CHUNK):  # reading to the end of a member verifies its CRC-32
                        pass
    except RAISED as error:
        raise DamagedError(str(error) or type(error).__name__) from error


def verify_once(path: Path) -> None:
    """Like `verify_zip`, but does not read a file again if it is unchanged since the last call.

    Raises:
        DamagedError: like `verify_zip`.
        OSError: if the file does not exist.
    """
    found = path.stat()
    _verify_once(path, found.st_mtime_ns, found.st_size, found.st_ino)


@lru_cache(maxsize=256)
def _verify_once(path: Path, changed: int, size: int, inode: int) -> None:
    verify_zip(path)
