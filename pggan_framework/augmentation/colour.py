"""Colour changes: a linear map per image, and the operations of colour jitter."""

from __future__ import annotations

import torch
from torch import Tensor


def recoloured(
    images: Tensor, brightness: Tensor, contrast: Tensor, luma: Tensor, hue: Tensor, saturation: Tensor
) -> Tensor:
    """Change colours by a linear map for each image (Karras et al. 2020, arXiv 2006.06676, appendix B).

    With channel counts other than three, only brightness and contrast are changed.

    Args:
        images: [N, C, h, w], full range [-1, 1].
        brightness: [N], offset that is added first.
        contrast: [N], factor around the middle grey.
        luma: [N], factor along the grey axis; -1 inverts it.
        hue: [N], rotation about the grey axis in radians.
        saturation: [N], factor orthogonal to the grey axis.
    """
    images = (images + _each(brightness)) * _each(contrast)
    if images.shape[1] != 3:
        return images
    eye = torch.eye(3, device=images.device, dtype=images.dtype)
    along = torch.full_like(eye, 1 / 3)
    turn = (eye.roll(1, 0) - eye.roll(-1, 0)) / 3**0.5
    luma, hue, saturation = (factor.view(-1, 1, 1) for factor in (luma, hue, saturation))
    # The grey axis and its complement do not mix, so the order of these three changes does not matter.
    matrix = luma * along + saturation * (hue.cos() * (eye - along) + hue.sin() * turn)
    return torch.einsum("nij,njhw->nihw", matrix, images)


def grey(images: Tensor) -> Tensor:
    """[N, C, h, w] -> [N, 1, h, w]: luma of RGB (ITU-R BT.601), or the mean of other channels."""
    if images.shape[1] != 3:
        return images.mean(1, keepdim=True)
    red, green, blue = images.unbind(1)
    return (0.299 * red + 0.587 * green + 0.114 * blue)[:, None]


def blended(images: Tensor, towards: Tensor, factor: Tensor) -> Tensor:
    """Compute ``towards + factor * (images - towards)`` with factor [N], clipped to [0, 1]."""
    return (towards + _each(factor) * (images - towards)).clamp(0, 1)


def hue_turned(images: Tensor, turns: Tensor) -> Tensor:
    """Shift the HSV hue of RGB [N, 3, h, w] in [0, 1] by `turns` [N], in full turns."""
    red, green, blue = images.unbind(1)
    value, chroma = images.amax(1), images.amax(1) - images.amin(1)
    safe = torch.where(chroma > 0, chroma, torch.ones_like(chroma))
    sixth = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    sixth = sixth + 6 * turns[:, None, None]
    # The distance of each channel's hue from the pixel's hue determines its fraction of the chroma.
    place = torch.stack([(offset + sixth) % 6 for offset in (5, 3, 1)], 1)
    return value[:, None] - chroma[:, None] * torch.minimum(place, 4 - place).clamp(0, 1)


def _each(factor: Tensor) -> Tensor:
    """[N] -> [N, 1, 1, 1]."""
    return factor.view(-1, 1, 1, 1)
