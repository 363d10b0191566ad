"""Metrics on the features of an extractor; all of them share one forward pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from pggan_framework.metrics.base import BaseMetric, Features, PictureMetric, Pictures
from pggan_framework.metrics.extractors import build_extractor
from pggan_framework.metrics.extractors.base import COLOURS, Extractor

Source = Literal["features", "logits"]
"""The extractor output that a metric uses."""
_BATCH = 32
_SMALL = 8
"""Smallest image side for which precomputed baselines exist."""


class Eye:
    """Computes the outputs of an extractor once per batch for all metrics.

    Args:
        extractor: the extractor, on its device.
    """

    def __init__(self, extractor: Extractor) -> None:
        self.extractor = extractor
        self.name = extractor.name
        self._device = next((weight.device for weight in extractor.parameters()), torch.device("cpu"))
        self._looked_at: Pictures | None = None
        self._seen: dict[Source, NDArray[np.float32]] = {}
        probe = self._look(np.zeros((1, 3, _SMALL, _SMALL), np.uint8))
        self.has_logits = "logits" in probe

    def see(self, pictures: Pictures) -> Mapping[Source, NDArray[np.float32]]:
        """Return features float32 [N, F] and, if the network is a classifier, logits float32 [N, K]."""
        if self._looked_at is not pictures:
            parts = [self._look(pictures.images[at : at + _BATCH]) for at in range(0, len(pictures), _BATCH)]
            self._seen = {source: np.concatenate([part[source] for part in parts]) for source in parts[0]}
            self._looked_at = pictures
        return self._seen

    def _look(self, images: NDArray[np.uint8]) -> dict[Source, NDArray[np.float32]]:
        levels = torch.from_numpy(np.ascontiguousarray(images)).to(self._device)
        with torch.inference_mode():
            found = self.extractor.outputs(levels.float() / 127.5 - 1)
        seen: dict[Source, NDArray[np.float32]] = {"features": found.features.float().cpu().numpy()}
        if found.logits is not None:
            seen["logits"] = found.logits.float().cpu().numpy()
        return seen


class FeatureMetric(PictureMetric):
    """Base of the metrics on an extractor's outputs; `eye`, shared by all of them, is set before use.

    The names of the values end in the name of the extractor, e.g. ``fid_lite0``: values of different extractors are not
    comparable.
    """

    source: ClassVar[Source] = "features"
    eye: Eye | None = None

    def lacks(self, clips: Pictures) -> str:
        """Require a suitable extractor, and images of 1, 3 or 4 channels."""
        if self.eye is None or (self.source == "logits" and not self.eye.has_logits):
            return f"an extractor that is a classifier; {self.eye.name if self.eye else 'none'} is not"
        channels = clips.images.shape[1]
        return "" if channels in COLOURS else f"images of 1, 3 or 4 channels; these have {channels}"

    def features(self, clips: Pictures) -> Features:
        """Return the extractor's output for each image, [N, F]."""
        assert self.eye is not None
        return self.eye.see(clips)[self.source]

    def named(self, figures: Mapping[str, float]) -> dict[str, float]:
        """Return values by stem (``kid``, ``kid.std``) under their full names."""
        assert self.eye is not None
        parts = {key: key.partition(".") for key in figures}
        return {f"{stem}_{self.eye.name}{dot}{rest}": figures[key] for key, (stem, dot, rest) in parts.items()}


def attach(
    metrics: Iterable[BaseMetric[Any]], extractor: str = "auto", device: str = "cpu", **settings: Any
) -> Eye | None:
    """Set the device of `metrics` and return the extractor that they share; None if no metric needs one.

    Raises:
        UserError: if the extractor does not exist, or a required package is not installed.
    """
    metrics = list(metrics)
    for each in metrics:
        each.device = device
    deep = [metric for metric in metrics if isinstance(metric, FeatureMetric)]
    if not deep:
        return None
    eye = Eye(build_extractor(extractor, device, **settings))
    for metric in deep:
        metric.eye = eye
    return eye
