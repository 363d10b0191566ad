"""A nested configuration as flat names, for tracking services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested values to ``Class.param`` and lists to text; API keys of the services are omitted."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        if name == "comet_key":
            continue
        if isinstance(value, Mapping):
            found.update(flat(value, f"{prefix}{name}."))
        else:
            found[f"{prefix}{name}"] = value if isinstance(value, (bool, int, float, str)) else str(value)
    return found
