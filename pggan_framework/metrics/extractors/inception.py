"""The Inception network of published FIDs, if torch-fidelity and its weights file are present."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from pggan_framework.errors import UserError
from pggan_framework.metrics.extractors.base import Extractor, Outputs, rgb
from pggan_framework.registry import register

PACKAGE = "torch_fidelity"
FILE = "weights-inception-2015-12-05-6726825d.pth"
SIDE = 299
STAGES = (
    ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "MaxPool_1"),
    ("Conv2d_3b_1x1", "Conv2d_4a_3x3", "MaxPool_2"),
    ("Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
    ("Mixed_7a", "Mixed_7b", "Mixed_7c"),
)
"""Layers grouped by the feature map at their end: torch-fidelity's 64, 192, 768 and 2048."""


@register("extractor", "inception")
class Inception(Extractor):
    """Inception of 2015, as published FIDs use it: 2,048 features; needs torch-fidelity and its weights file.

    Images are scaled to 299x299, regardless of their aspect ratio, as in TensorFlow 1. The logits have no bias, as the
    Inception score requires. Nothing is downloaded: the default location is that of torch-fidelity,
    weights-inception-2015-12-05-6726825d.pth in torch's checkpoint folder.

    Args:
        weights: the weights file (95 MB), if not at torch-fidelity's default location.

    Raises:
        UserError: if the package or the file is missing, or the file has unexpected contents.
    """

    name = "inception"

    def __init__(self, weights: Path | None = None) -> None:
        super().__init__(self.missing() if weights is None else _package_missing())
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        # The package loads its file in an unsafe way that can run code. It receives a copy of the safely loaded
        # weights.
        copy = io.BytesIO()
        torch.save(_read(_default_file() if weights is None else weights), copy)
        copy.seek(0)
        # The random initialization of a network must not affect the random state of training.
        with torch.random.fork_rng(devices=[]):
            try:
                self.network = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=copy)
            except RuntimeError as error:
                raise UserError(f"{weights or _default_file()} does not contain the weights of {FILE}") from error
        self.freeze()

    @classmethod
    def missing(cls) -> str:
        """Return the package, or its separate weights file, if it is missing."""
        if _package_missing() or _default_file().is_file():
            return _package_missing()
        return (
            f"needs its weights file (Apache-2.0, 95 MB, of torch-fidelity's release v0.2.0) as {_default_file()}, "
            "or --inception.weights FILE; nothing is downloaded"
        )

    def outputs(self, images: Tensor) -> Outputs:
        """Four maps, 2,048 pooled features, and 1,008 logits without their bias."""
        from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

        levels = (rgb(images) + 1) * 127.5
        x = (interpolate_bilinear_2d_like_tensorflow1x(levels, size=(SIDE, SIDE), align_corners=False) - 128) / 128
        maps = []
        for stage in STAGES:
            for layer in stage:
                x = self.network.get_submodule(layer)(x)
            maps.append(x)
        features = adaptive_avg_pool2d(x, 1).flatten(1)
        return Outputs(maps, features, features @ self.network.fc.weight.T)


def _package_missing() -> str:
    return (
        "" if find_spec(PACKAGE) else "needs the package torch-fidelity (Apache-2.0): pip install 'torch-fidelity>=0.3'"
    )


def _default_file() -> Path:
    """Return torch-fidelity's default location of the file."""
    return Path(torch.hub.get_dir()) / "checkpoints" / FILE


def _read(path: Path) -> object:
    """Load a weights file without executing code from it.

    Raises:
        UserError: if it is not a weights file.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
        raise UserError(f"{path} is not a readable weights file: {str(error).splitlines()[0]}") from error
