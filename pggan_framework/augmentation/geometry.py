"""Geometric changes: integer shifts, boxes, and affine changes with a single interpolation.

Affine changes are 3x3 matrices of homogeneous coordinates in pixels, x to the right, y down, relative to the image's
centre, so that a rotation preserves angles in non-square images.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Beyond = Literal["zero", "edge", "cyclic"]
"""Fill of vacated areas: zeros, the outermost pixels, or the pixels shifted out on the other side."""


def shifted(images: Tensor, by: Tensor, axis: int, beyond: Beyond) -> Tensor:
    """Shift each image by whole pixels.

    Args:
        images: [N, C, h, w].
        by: [N] int64, number of pixels down or to the right.
        axis: 2 for rows, 3 for columns.
        beyond: how vacated areas are filled.
    """
    length = images.shape[axis]
    source = torch.arange(length, device=images.device) - by[:, None]
    inside = source % length if beyond == "cyclic" else source.clamp(0, length - 1)
    shape = [len(images), 1, 1, 1]
    shape[axis] = length
    moved = images.gather(axis, inside.view(shape).expand_as(images))
    return moved * (inside == source).view(shape) if beyond == "zero" else moved


def spans(start: Tensor, size: Tensor | int, length: int) -> Tensor:
    """Return bool [N, length]: True at `size` positions from `start` [N] on, clipped to the range."""
    position = torch.arange(length, device=start.device)
    first = start[:, None]
    return (position >= first) & (position < first + (size if isinstance(size, int) else size[:, None]))


def whole(share: float, length: int) -> int:
    """Convert a fraction of a length to pixels, rounded half up."""
    return int(share * length + 0.5)


def identity(images: Tensor) -> Tensor:
    """Return identity matrices [N, 3, 3]."""
    return torch.eye(3, device=images.device, dtype=images.dtype).expand(len(images), 3, 3)


def translation(x: Tensor, y: Tensor) -> Tensor:
    """Return matrices [N, 3, 3] of translations by x and y [N] pixels."""
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    return _matrix([one, zero, x], [zero, one, y], [zero, zero, one])


def scaling(x: Tensor, y: Tensor) -> Tensor:
    """Return matrices [N, 3, 3] of scalings by factors x and y [N]."""
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    return _matrix([x, zero, zero], [zero, y, zero], [zero, zero, one])


def rotation(angle: Tensor) -> Tensor:
    """Return matrices [N, 3, 3] of rotations by angles [N] in radians, counter-clockwise on screen."""
    one, zero, cos, sin = torch.ones_like(angle), torch.zeros_like(angle), angle.cos(), angle.sin()
    return _matrix([cos, sin, zero], [-sin, cos, zero], [zero, zero, one])


def warp(images: Tensor, source: Tensor) -> Tensor:
    """Resample the images at the positions of `source`, with bilinear interpolation.

    The image is mirrored beyond its edges. Images with an identity matrix are bitwise unchanged.

    Args:
        images: [N, C, h, w].
        source: [N, 3, 3], maps a position in the result to the source position.
    """
    h, w = images.shape[2:]
    halves = images.new_full((1,), w / 2), images.new_full((1,), h / 2)
    theta = scaling(1 / halves[0], 1 / halves[1]) @ source @ scaling(*halves)
    grid = F.affine_grid(theta[:, :2], list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    changed = (source != identity(images)).any(2).any(1)
    return torch.where(changed[:, None, None, None], moved, images)


def _matrix(*rows: list[Tensor]) -> Tensor:
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
