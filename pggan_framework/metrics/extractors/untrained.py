"""An extractor without dependencies: convolutions with random weights."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, leaky_relu, pad

from pggan_framework.metrics.extractors.base import Extractor, Outputs, rgb
from pggan_framework.registry import register

WIDTHS = (16, 32, 48, 64)
SEED = 20180226
SLOPE = 0.2


@register("extractor", "random")
class RandomFeatures(Extractor):
    """Convolutions with fixed random weights: no dependencies, no training data.

    Four 3x3 layers, each at half the resolution of the previous one. The features are the mean and standard deviation
    of each map (320 numbers); they capture texture, colour and sharpness, but hardly the content of an image. Naeem et
    al. (arXiv 2002.09797)
    found random networks useful for data unlike ImageNet. Images are not resized: compare values of one image size
    only.
    """

    name = "random"

    def __init__(self) -> None:
        super().__init__()
        random = np.random.default_rng(SEED)
        self.weights = nn.ParameterList()
        for inputs, width in zip((3, *WIDTHS[:-1]), WIDTHS, strict=True):
            drawn = random.standard_normal((width, inputs, 3, 3)) * np.sqrt(2 / (1 + SLOPE**2) / (9 * inputs))
            self.weights.append(nn.Parameter(torch.from_numpy(drawn.astype(np.float32))))
        self.freeze()

    def outputs(self, images: Tensor) -> Outputs:
        """Return four feature maps at successively halved resolutions, their means and deviations, and no logits."""
        x = rgb(images)
        maps: list[Tensor] = []
        for weight in self.weights:
            if maps and min(x.shape[2:]) > 1:
                x = avg_pool2d(x, 2)
            x = leaky_relu(conv2d(pad(x, [1] * 4, mode="replicate"), weight), SLOPE)
            maps.append(x)
        means = [each.mean((2, 3)) for each in maps]
        spreads = [(each.var((2, 3), correction=0) + 1e-8).sqrt() for each in maps]
        return Outputs(maps, torch.cat([*means, *spreads], dim=1), None)
