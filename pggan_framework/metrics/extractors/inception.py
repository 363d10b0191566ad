"""The Inception network of published FIDs, where torch-fidelity and the file of its weights are present."""

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
"""Layers by the map each run of them ends in: torch-fidelity's 64, 192, 768 and 2048."""


@register("extractor", "inception")
class Inception(Extractor):
    """Inception of 2015, as published FIDs use it: 2,048 features; needs torch-fidelity and its file of weights.

    Pictures are scaled to 299x299, whatever their proportions, as TensorFlow 1 does it. The logits are those without
    bias, which the Inception score is computed from. Nothing is downloaded: without `weights` the file is looked for
    where torch-fidelity itself keeps it, weights-inception-2015-12-05-6726825d.pth in torch's folder of checkpoints.

    Args:
        weights: the file of weights (95 MB), if it lies elsewhere.

    Raises:
        UserError: if the package or the file is not there, or the file holds something else.
    """

    name = "inception"

    def __init__(self, weights: Path | None = None) -> None:
        super().__init__(self.missing() if weights is None else _package_missing())
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        # The package reads its file in a way that lets code in it run. It is given a copy of what was read safely.
        copy = io.BytesIO()
        torch.save(_read(_default_file() if weights is None else weights), copy)
        copy.seek(0)
        with torch.random.fork_rng(
            devices=[]
        ):  # building a network draws random weights, which training must not notice
            try:
                self.network = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=copy)
            except RuntimeError as error:
                raise UserError(f"{weights or _default_file()} does not hold the weights of {FILE}") from error
        self.freeze()

    @classmethod
    def missing(cls) -> str:
        """The package, or the file that it does not bring."""
        if _package_missing() or _default_file().is_file():
            return _package_missing()
        return (
            f"needs its file of weights (Apache-2.0, 95 MB, of torch-fidelity's release v0.2.0) as {_default_file()}, "
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
    """Where torch-fidelity keeps the file."""
    return Path(torch.hub.get_dir()) / "checkpoints" / FILE


def _read(path: Path) -> object:
    """The weights in a file, read without running code that it may hold.

    Raises:
        UserError: if it is no such file.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
        raise UserError(f"{path} is no file of weights that can be read: {str(error).splitlines()[0]}") from error
