"""Limits on files that may come from a stranger: a small file must not use a large memory."""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

from pggan_framework.errors import UserError

MOST_JSON = 256 << 20
"""Bytes of a JSON file: labels of ten million images fit."""


def check_regular(folder: Path) -> None:
    """Refuse a folder with pipes, sockets or devices in it, or links to them: reading one may never end.

    Raises:
        UserError: if there is one.
    """
    for base, folders, files in os.walk(folder):
        for name in (*folders, *files):
            with suppress(OSError):  # a link to nothing, or in a loop: whoever reads it says so
                mode = os.stat(os.path.join(base, name)).st_mode
                if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                    raise UserError(
                        f"{Path(base, name)} is not a file but a pipe or a device; allowed: files and folders"
                    )


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: if it is not JSON, or nested too deep for Python.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def read_text(path: Path, most: int) -> str:
    """The UTF-8 text of a file of at most `most` bytes.

    Raises:
        ValueError: if it is longer, or not UTF-8.
        OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it is longer than {most:,} bytes, the limit for such a file")
    return content.decode("utf-8")
