"""Metrics: how close generated data are to real data, each value with its real-vs-real baseline.

The names below are imported on first use, so that importing the package loads only the metrics in use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pggan_framework.metrics.base import Clips, Metric, PictureMetric, Pictures
    from pggan_framework.metrics.frechet import frechet_distance
    from pggan_framework.metrics.pitch import pitch_errors
    from pggan_framework.metrics.report import evaluate_pictures, evaluate_sounds
    from pggan_framework.metrics.structural import ms_ssim
    from pggan_framework.metrics.swd import sliced_wasserstein

__all__ = [
    "Clips",
    "Metric",
    "PictureMetric",
    "Pictures",
    "evaluate_pictures",
    "evaluate_sounds",
    "frechet_distance",
    "ms_ssim",
    "pitch_errors",
    "sliced_wasserstein",
]

_HOMES = {
    "Clips": "base",
    "Metric": "base",
    "PictureMetric": "base",
    "Pictures": "base",
    "evaluate_pictures": "report",
    "evaluate_sounds": "report",
    "frechet_distance": "frechet",
    "ms_ssim": "structural",
    "pitch_errors": "pitch",
    "sliced_wasserstein": "swd",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pggan_framework.metrics' has no attribute '{name}'")
    return getattr(import_module(f"pggan_framework.metrics.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
