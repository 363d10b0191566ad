"""How near generated data are to real ones, each figure beside that of other real data in their place.

The names below are imported on first use, so that importing the package loads no metric that is not asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pggan_framework.metrics.base import Clips, Metric
    from pggan_framework.metrics.frechet import frechet_distance
    from pggan_framework.metrics.pitch import pitch_errors
    from pggan_framework.metrics.report import evaluate_sounds

__all__ = ["Clips", "Metric", "evaluate_sounds", "frechet_distance", "pitch_errors"]

_HOMES = {
    "Clips": "base",
    "Metric": "base",
    "evaluate_sounds": "report",
    "frechet_distance": "frechet",
    "pitch_errors": "pitch",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pggan_framework.metrics' has no attribute '{name}'")
    return getattr(import_module(f"pggan_framework.metrics.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
