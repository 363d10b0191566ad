"""Networks that turn pictures into features, for metrics and perceptual distances.

What an extractor needs beside torch is imported when it is built, so that all of them can be listed everywhere.
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
    """The name of the best that is here without a file of its own: ``lite0`` if it is installed, else ``random``."""
    return Lite0.name if Lite0.available() else RandomFeatures.name


def build_extractor(name: str = AUTO, device: str = "cpu", **settings: Any) -> Extractor:
    """The extractor of this name, frozen.

    Args:
        name: a registered extractor, or ``auto`` for `default_extractor`.
        device: where it is to run.
        settings: arguments of its own, ``size`` for one.

    Raises:
        UserError: if there is none of this name, or what it needs is not installed.
    """
    return extractor_class(name)(**settings).to(device)


def extractor_class(name: str = AUTO) -> type[Extractor]:
    """The class of the extractor of this name, or of the one ``auto`` means.

    Raises:
        UserError: if there is none of this name.
    """
    cls = REGISTRY.get(default_extractor() if name == AUTO else name, "extractor").cls
    assert issubclass(cls, Extractor)
    return cls
