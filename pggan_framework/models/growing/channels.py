"""Other channels, patches and levels of the images: grey to colour, mono to stereo, another loudest value."""

from __future__ import annotations

import torch
from torch import Tensor

from pggan_framework.errors import UserError
from pggan_framework.models.growing.spaces import SAME, Space


def image_space(
    channels: tuple[int, int], patches: tuple[int, int], kinds: int = 1, shift: float = 0.0, sound: bool = False
) -> Space:
    """Values of an image's patch, source to target.

    New colour channels and sound channels equal the mean of the old ones; fewer are means of the old ones. A new fourth
    channel of an image is opaque. What reads the channels adds them up, with random weights whose sum over copies is 0.

    Args:
        channels: of both images.
        patches: pixels per side of both networks' patches.
        kinds: consecutive channels that belong to one channel of a wave (magnitude and phase: 2); 1 for images.
        shift: added to every value, where the target's codec shows the same level by another value.
        sound: whether the image is a sound.

    Raises:
        UserError: if there is no such mapping.
    """
    if channels[0] == channels[1] and patches[0] == patches[1] and not shift:
        return SAME
    groups = channels[0] // kinds, channels[1] // kinds
    out, into, offset = _sound(groups) if sound else _colours(groups)
    eye = torch.eye(kinds, dtype=torch.float64)
    out, into, offset = torch.kron(out, eye), torch.kron(into, eye), offset.repeat_interleave(kinds)
    free = None if channels[0] >= channels[1] else _free(out)
    old, new = patches[0] ** 2, patches[1] ** 2
    if patches[0] == patches[1]:
        pixels = torch.eye(new, dtype=torch.float64)
        drawn, seen = pixels, pixels
    elif min(patches) == 1:
        # A patch's pixels are alike, and a discriminator that saw one pixel sees their mean.
        drawn = torch.ones(new, old, dtype=torch.float64) / old
        seen = torch.ones(new, old, dtype=torch.float64) / new
    else:
        raise UserError(f"patch_size {patches[0]} cannot become {patches[1]}; allowed: {patches[0]}, or 1")
    whole = (offset + shift).repeat_interleave(new)
    held = torch.full((channels[0] * old,), -shift, dtype=torch.float64)
    return Space(
        torch.kron(out, drawn),
        torch.kron(into, seen),
        "mapped",
        None if free is None else torch.kron(free, torch.eye(new, dtype=torch.float64)),
        whole if bool(whole.any()) else None,
        held if shift else None,
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
    return torch.eye(len(out), dtype=torch.float64) - left @ left.T
