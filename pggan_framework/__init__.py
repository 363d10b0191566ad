"""Progressive growing of GANs for sound and images, from a config file.

The names below are imported on first use, so that ``import pggan_framework`` is fast and does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pggan_framework.data.base import DepthDataset
    from pggan_framework.errors import UserError
    from pggan_framework.launch.start import RunResult, run
    from pggan_framework.models.hub import load_generator
    from pggan_framework.models.pretrained import Pretrained
    from pggan_framework.postprocessors.soundfiles import Sound
    from pggan_framework.registry import register
    from pggan_framework.reporting.run import Run
    from pggan_framework.training.plugin import Every, Plugin

__version__ = "0.1.0"
__all__ = [
    "DepthDataset", "Every", "Plugin", "Pretrained", "Run", "RunResult", "Sound", "UserError",
    "load_generator", "register", "run",
]  # fmt: skip

_HOMES = {
    "DepthDataset": "data.base",
    "Every": "training.plugin",
    "Plugin": "training.plugin",
    "Pretrained": "models.pretrained",
    "Run": "reporting.run",
    "RunResult": "launch.start",
    "Sound": "postprocessors.soundfiles",
    "UserError": "errors",
    "load_generator": "models.hub",
    "register": "registry",
    "run": "launch.start",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pggan_framework' has no attribute '{name}'")
    return getattr(import_module(f"pggan_framework.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
