"""Feature extractors: networks that turn images into features, for metrics and perceptual distances.

Required packages other than torch are imported when an extractor is built, so that all extractors can be listed.
"""

from __future__ import annotations

from typing import Any

from pggan_framework.metrics.extractors.base import Extractor, Outputs
from pggan_framework.metrics.extractors.inception import Inception
from pggan_framework.metrics.extractors.lite0 import Lite0
from pggan_framework.metrics.extractors.untrained import RandomFeatures
from pggan_framework.registry import REGISTRY

__all__ = [
    "Extractor",
    "Inception",
    "Lite0",
    "Outputs",
    "RandomFeatures",
    "build_extractor",
    "default_extractor",
    "extractor_class",
]

AUTO = "auto"
"""The name that means `default_extractor`."""


def default_extractor() -> str:
    """Return the best extractor without a separate weights file: ``lite0`` if it is installed, else ``random``."""
    return Lite0.name if Lite0.available() else RandomFeatures.name


def build_extractor(name: str = AUTO, device: str = "cpu", **settings: Any) -> Extractor:
    """Build the extractor of this name, frozen.

    Args:
        name: a registered extractor, or ``auto`` for `default_extractor`.
        device: device of the extractor.
        settings: its constructor's arguments, such as ``size``.

    Raises:
        UserError: if it does not exist, or a required package is not installed.
    """
    return extractor_class(name)(**settings).to(device)


def extractor_class(name: str = AUTO) -> type[Extractor]:
    """Return the class of the extractor of this name; ``auto`` is the default extractor.

    Raises:
        UserError: if it does not exist.
    """
    cls = REGISTRY.get(default_extractor() if name == AUTO else name, "extractor").cls
    assert issubclass(cls, Extractor)
    return cls
