"""The cache folder for recomputable data."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "PGGAN_CACHE"
"""Environment variable: the folder of the cache; empty for none at all."""


def cache_folder() -> Path | None:
    """``$PGGAN_CACHE``, or pggan_framework in the user's cache folder (~/.cache); None if it is disabled."""
    given = os.environ.get(VARIABLE)
    if given is not None:
        return Path(given).expanduser() if given else None
    home = os.environ.get("XDG_CACHE_HOME") or (os.environ.get("LOCALAPPDATA") if os.name == "nt" else None)
    try:
        return Path(home or "~/.cache").expanduser() / "pggan_framework"
    except RuntimeError:  # there is no home
        return None
