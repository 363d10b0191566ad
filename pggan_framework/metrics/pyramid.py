"""The Laplacian pyramid of Burt and Adelson (1983): decomposes an image into detail bands of halved sizes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from pggan_framework.metrics.base import SMALLEST


def level_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Return (height, width) of each level, from full size to a shorter side of 16 or more; empty if there is none."""
    sizes = []
    while min(height, width) >= SMALLEST:
        sizes.append((height, width))
        height, width = (height + 1) // 2, (width + 1) // 2
    return sizes


def halve(images: Tensor) -> Tensor:
    """Smooth [N, C, H, W] with the 5x5 binomial kernel / 256, mirrored at the edges, and keep every second pixel."""
    for axis in (2, 3):
        x = pad(images, (0, 0, 2, 2) if axis == 2 else (2, 2, 0, 0), mode="reflect")
        size = images.shape[axis]
        a, b, c, d, e = (x[:, :, k : k + size : 2] if axis == 2 else x[..., k : k + size : 2] for k in range(5))
        images = (b + d).mul_(4).add_(a).add_(e).add_(c, alpha=6).div_(16)
    return images


def double(images: Tensor, height: int, width: int) -> Tensor:
    """Insert zeros between the pixels of [N, C, h, w] and smooth with four times that kernel: [N, C, height, width]."""
    for axis, size in ((2, height), (3, width)):
        count = images.shape[axis]
        # At the edges, the image with zeros is mirrored about its first and last pixels.
        x = torch.cat([images.narrow(axis, 1, 1), images, images.narrow(axis, count - 1, 1)], axis)
        before, here, after = (x.narrow(axis, k, count) for k in range(3))
        even, odd = (before + after).add_(here, alpha=6).div_(8), (here + after).div_(2)
        images = torch.stack([even, odd], axis + 1).flatten(axis, axis + 1).narrow(axis, 0, size)
    return images


def laplacian_level(images: Tensor, level: int) -> Tensor:
    """Return a level of the pyramid of float [N, C, H, W]: 0 is full size, the last is the residual.

    Raises:
        ValueError: if the level does not exist.
    """
    sizes = level_sizes(*images.shape[2:])
    if not 0 <= level < len(sizes):
        raise ValueError(f"level {level} of images of {tuple(images.shape[2:])}; there are {len(sizes)}")
    for _ in range(level):
        images = halve(images)
    return images if level == len(sizes) - 1 else images - double(halve(images), *sizes[level])
