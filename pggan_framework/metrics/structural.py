"""Multi-scale structural similarity of image pairs; among generated images, high values mean little variety."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, pad

from pggan_framework.errors import UserError, at_least
from pggan_framework.metrics.base import SMALLEST, WholePictures, as_images
from pggan_framework.registry import register

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW, SIGMA = 11, 1.5
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_MIDDLE = 127.5
_PIXELS = 1 << 20
"""Pixels compared at a time."""


def ms_ssim(a: NDArray[np.uint8] | Tensor, b: NDArray[np.uint8] | Tensor, device: str = "cpu") -> float:
    """Return the mean MS-SSIM of pairs of images: 1 for equal images, about 0 for unrelated ones.

    Wang, Simoncelli and Bovik, "Multiscale structural similarity for image quality assessment" (2003), eq. 7: five
    scales, each half the previous one, a Gaussian window of 11x11 (sigma 1.5) inside the image, K 0.01 and 0.03. A
    negative mean at one scale counts as 0. At the fifth scale the image is mirrored at its edges, as in torchmetrics
    but not in the PGGAN paper's tool. For sides below 176 pixels the window does not fit the fifth scale: as in that
    tool, the window and its sigma are then reduced to the shorter side, without mirroring.

    Args:
        a: uint8 [N, C, H, W], any number of channels, each side 16 or more.
        b: images to compare with, uint8 [N, C, H, W].
        device: device of the computation.

    Raises:
        UserError: if the images are not uint8 [N, C, H, W] of one shape, or are too small.
    """
    a, b = as_images(a), as_images(b)
    if a.shape != b.shape:
        raise UserError(f"images are {list(a.shape)} and {list(b.shape)}; allowed: pairs of the same shape")
    return _mean_of_pairs(a, b, np.stack([np.arange(len(a))] * 2, axis=1), device)


def random_pairs(count: int, most: int, seed: int = 0) -> NDArray[np.int64]:
    """Draw `most` distinct random pairs of `count` images, [P, 2]; all pairs if there are fewer."""
    total = count * (count - 1) // 2
    numbers = np.arange(total) if total <= most else np.random.default_rng(seed).choice(total, most, replace=False)
    # Pair k, counted along the rows of the lower triangle, is in the last row r with r (r - 1) / 2 <= k.
    second = ((1 + np.sqrt(1 + 8 * numbers.astype(np.float64))) / 2).astype(np.int64)
    return np.stack([numbers - second * (second - 1) // 2, second], axis=1)


def _mean_of_pairs(a: NDArray[np.uint8], b: NDArray[np.uint8], pairs: NDArray[np.int64], device: str = "cpu") -> float:
    """Return the mean MS-SSIM over `pairs` [P, 2]: indices of an image in `a` and an image in `b`.

    Raises:
        UserError: if the images are too small.
    """
    height, width = a.shape[2:]
    if min(height, width) < SMALLEST:
        raise UserError(f"images of {height}x{width} are too small for five scales; allowed: {SMALLEST} and up")
    batch = max(1, _PIXELS // a[0].size)
    total = 0.0
    for start in range(0, len(pairs), batch):
        part = pairs[start : start + batch]
        taken = (torch.from_numpy(s[part[:, k]]).to(device) for k, s in enumerate((a, b)))
        first, second = (images.float() - _MIDDLE for images in taken)
        total += float(_similarities(first, second).double().sum())
    return total / len(pairs)


def _similarities(a: Tensor, b: Tensor) -> Tensor:
    """MS-SSIM of each pair, [N], of images [N, C, H, W] whose middle grey is 0."""
    result = a.new_ones(len(a))
    for scale, weight in enumerate(WEIGHTS):
        if scale:
            a, b = avg_pool2d(a, 2), avg_pool2d(b, 2)
        last = scale == len(WEIGHTS) - 1
        if last and min(a.shape[2:]) >= WINDOW:
            a, b = (pad(each, [WINDOW // 2] * 4, mode="reflect") for each in (a, b))
        means = [_blur(each) for each in (a, b)]
        spread = _blur(a * a + b * b) - means[0] ** 2 - means[1] ** 2
        common = _blur(a * b) - means[0] * means[1]
        similarity = (2 * common + C2) / (spread + C2)
        if last:
            bright = [each + _MIDDLE for each in means]
            similarity = similarity * (2 * bright[0] * bright[1] + C1) / (bright[0] ** 2 + bright[1] ** 2 + C1)
        result = result * similarity.mean((1, 2, 3)).clamp(min=0) ** weight
    return result


def _blur(images: Tensor) -> Tensor:
    """Compute the windowed mean at valid positions, [N, C, H - 10, W - 10]; with a smaller window if it never fits."""
    count, channels, height, width = images.shape
    size = min(WINDOW, height, width)
    steps = torch.arange(size, device=images.device) - (size - 1) / 2
    window = torch.exp(-((steps / (SIGMA * size / WINDOW)) ** 2) / 2)
    window = window / window.sum()
    flat = images.reshape(count * channels, 1, height, width)
    blurred = conv2d(conv2d(flat, window.view(1, 1, -1, 1)), window.view(1, 1, 1, -1))
    return blurred.reshape(count, channels, *blurred.shape[2:])


@register("metric", "ms_ssim")
class MSSSIM(WholePictures):
    """Mean MS-SSIM of random pairs of generated images (PGGAN paper); values far above the reals mean little variety.

    Args:
        pairs: largest number of pairs; 10,000 in the paper.

    Raises:
        UserError: if `pairs` is below 1.
    """

    name = "ms_ssim"
    alone = True

    def __init__(self, pairs: int = 10_000) -> None:
        at_least("ms_ssim", 1, pairs=pairs)
        self.pairs = pairs

    def compare(self, reals: NDArray[np.uint8], others: NDArray[np.uint8]) -> dict[str, float]:
        """Return one value, ``ms_ssim``."""
        self.check_count(others)
        return {self.name: _mean_of_pairs(others, others, random_pairs(len(others), self.pairs), self.device)}
