"""Mappings of image channels and levels: grey to colour, mono to stereo, another maximum level."""

from __future__ import annotations

import torch
from torch import Tensor

from pggan_framework.models.growing.spaces import SAME, Space


def image_space(channels: tuple[int, int], kinds: int = 1, shift: float = 0.0, sound: bool = False) -> Space:
    """Map the channels of an image from source to target.

    If the number of colour or sound channels changes, each new channel is the mean of the old channels. A new fourth
    channel of an image is opaque. Layers that read copied channels sum them, and get random weights whose sum over the
    copies is 0.

    Args:
        channels: numbers of image channels of the source and the target.
        kinds: number of consecutive channels that belong to one channel of a wave (2 for magnitude and phase); 1 for
            images.
        shift: offset added to every value, because the target's codec encodes a level as a different value.
        sound: True for images of sounds.
    """
    if channels[0] == channels[1] and not shift:
        return SAME
    groups = channels[0] // kinds, channels[1] // kinds
    out, into, offset = _sound(groups) if sound else _colours(groups)
    eye = torch.eye(kinds, dtype=torch.float64)
    out, into, offset = torch.kron(out, eye), torch.kron(into, eye), offset.repeat_interleave(kinds)
    free = None if channels[0] >= channels[1] else _free(out)
    offset = offset + shift
    return Space(
        out,
        into,
        "mapped",
        free,
        offset if bool(offset.any()) else None,
        torch.full((channels[0],), -shift, dtype=torch.float64) if shift else None,
    )


def _sound(groups: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    old, new = groups
    if old == new:
        return (*_same(old), torch.zeros(new, dtype=torch.float64))
    out = torch.ones(new, old, dtype=torch.float64) / old
    into = torch.ones(new, old, dtype=torch.float64) / new
    return out, into, torch.zeros(new, dtype=torch.float64)


def _colours(groups: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Map 1 (grey), 2 (grey, opacity), 3 (colours) or 4 channels (colours, opacity); otherwise, use the mean."""
    old, new = groups
    colours = tuple(number - (number in (2, 4)) for number in groups)
    out, into = torch.zeros(new, old, dtype=torch.float64), torch.zeros(new, old, dtype=torch.float64)
    first, second = _same(colours[0]) if colours[0] == colours[1] else _sound((colours[0], colours[1]))[:2]
    out[: colours[1], : colours[0]], into[: colours[1], : colours[0]] = first, second
    offset = torch.zeros(new, dtype=torch.float64)
    if new in (2, 4):
        if old in (2, 4):
            out[-1, -1] = into[-1, -1] = 1.0
        else:
            offset[-1] = 1.0
    return out, into, offset


def _same(number: int) -> tuple[Tensor, Tensor]:
    return torch.eye(number, dtype=torch.float64), torch.eye(number, dtype=torch.float64)


def _free(out: Tensor) -> Tensor:
    """The projection, [T, T], onto the directions in which all images of the source are 0."""
    left, values, _ = torch.linalg.svd(out, full_matrices=False)
    left = left[:, values > 1e-9]
    free: Tensor = torch.eye(len(out), dtype=torch.float64) - left @ left.T
    return free
