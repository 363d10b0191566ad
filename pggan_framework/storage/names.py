"""File names that are not in UTF-8, such as Latin-1 names of old collections; Python reads them with surrogates."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def name_bytes(text: str) -> bytes:
    """Return text with file names as UTF-8, in which each surrogate is the byte of the name that it represents."""
    return text.encode("utf-8", "surrogateescape")


def write_text(path: Path, text: str) -> None:
    r"""Write text with file names in UTF-8, with escapes such as ``\udcf6`` for surrogates; JSON reads them back.

    Raises:
        OSError: if the file cannot be written.
    """
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def libsndfile_path(path: str | Path) -> str | bytes:
    """Return a path that soundfile can encode: as bytes if it is not valid in the encoding of file names."""
    try:
        os.fspath(path).encode(sys.getfilesystemencoding())
    except UnicodeEncodeError:
        return os.fsencode(path)
    return os.fspath(path)
