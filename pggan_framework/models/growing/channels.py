"""Mappings of image channels and levels: grey to colour, mono to stereo, another loudest value."""

from __future__ import annotations

import torch
from torch import Tensor

from pggan_framework.models.growing.spaces import SAME, Space


def image_space(channels: tuple[int, int], kinds: int = 1, shift: float = 0.0, sound: bool = False) -> Space:
    """Channels of an image, source to target.

    New colour channels and sound channels equal the mean of the old ones; fewer are means of the old ones. A new fourth
    channel of an image is opaque. What reads the channels adds them up, with random weights whose sum over copies is 0.

    Args:
        channels: of both images.
        kinds: consecutive channels that belong to one channel of a wave (magnitude and phase: 2); 1 for images.
        shift: added to every value, where the target's codec shows the same level by another value.
        sound: whether the image is a sound.
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
    """1 grey, 2 grey and opacity, 3 colours, 4 colours and opacity; any others are mapped by their mean."""
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
    """[T, T]: the projection onto what all images of the source have 0 of."""
    left, values, _ = torch.linalg.svd(out, full_matrices=False)
    left = left[:, values > 1e-9]
    free: Tensor = torch.eye(len(out), dtype=torch.float64) - left @ left.T
    return free
