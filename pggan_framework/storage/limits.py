"""Limits on untrusted files, so that a small file cannot use much memory."""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from math import isfinite, nan
from pathlib import Path
from typing import Any

from pggan_framework.errors import UserError

MOST_JSON = 256 << 20
"""Largest size of a JSON file in bytes, enough for the labels of ten million images."""


def check_regular(folder: Path) -> None:
    """Reject a folder that contains pipes, sockets or devices, or links to them, since reading them may never end.

    Raises:
        UserError: if the folder contains one of these.
    """
    for base, folders, files in os.walk(folder):
        for name in (*folders, *files):
            with suppress(OSError):  # the reader of a broken or circular link reports it
                mode = os.stat(os.path.join(base, name)).st_mode
                if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                    raise UserError(
                        f"{Path(base, name)} is not a file but a pipe or a device; allowed: files and folders"
                    )


def value_range(stored: Any, path: Path) -> tuple[float, float]:
    """Return the value range `stored` of the file at `path`.

    Raises:
        UserError: unless the range is two finite numbers, the smaller number first.
    """
    try:
        low, high = (float(bound) for bound in stored)
    except (TypeError, ValueError):
        low = high = nan
    if not (isfinite(low) and isfinite(high) and low < high):
        raise UserError(f"{path} is damaged: its value range {str(stored)[:100]} is not two rising, finite numbers")
    return low, high


def parse_json(text: str | bytes) -> Any:
    """Parse a JSON text.

    Raises:
        ValueError: if the text is not JSON, or is nested too deeply for Python.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def read_text(path: Path, most: int) -> str:
    """Read the UTF-8 text of a file of at most `most` bytes.

    Raises:
        ValueError: if the file is longer or not UTF-8.
        OSError: if the file cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it is longer than {most:,} bytes, the limit for such a file")
    return content.decode("utf-8")
