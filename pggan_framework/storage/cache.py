"""The cache folder for recomputable data."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "PGGAN_CACHE"
"""Environment variable with the path of the cache folder; an empty value disables the cache."""


def cache_folder() -> Path | None:
    """Return ``$PGGAN_CACHE``, or pggan_framework in the user's cache folder (~/.cache); None if it is disabled."""
    given = os.environ.get(VARIABLE)
    if given is not None:
        return Path(given).expanduser() if given else None
    home = os.environ.get("XDG_CACHE_HOME") or (os.environ.get("LOCALAPPDATA") if os.name == "nt" else None)
    try:
        return Path(home or "~/.cache").expanduser() / "pggan_framework"
    except RuntimeError:  # there is no home folder
        return None
