"""Walks from latent to latent, and their clips as one wave."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from pggan_framework.audio.base import Wave


def slerp(start: torch.Tensor, end: torch.Tensor, share: float) -> torch.Tensor:
    """The point [F] at `share` (0 to 1) of the arc from latent `start` to `end` (Shoemake 1985), lengths in between.

    A straight line between two normal latents passes through lengths that normal latents never have; an arc does not.
    Latents that point the same way, or opposite ways, have no one arc: those are joined by the line.
    """
    a, b = start.double(), end.double()
    lengths = a.norm(), b.norm()
    cosine = torch.dot(a, b) / (lengths[0] * lengths[1]).clamp_min(1e-30)
    angle = torch.arccos(cosine.clamp(-1, 1))
    sine = torch.sin(angle)
    if sine < 1e-6:
        return torch.lerp(a, b, share).to(start.dtype)
    way = torch.sin((1 - share) * angle) / sine * (a / lengths[0]) + torch.sin(share * angle) / sine * (b / lengths[1])
    point: torch.Tensor = way * torch.lerp(lengths[0], lengths[1], share)
    return point.to(start.dtype)


def walk(latents: Sequence[torch.Tensor], steps: int) -> list[torch.Tensor]:
    """The latents [F] of a walk through `latents`, `steps` from each to the next: (count - 1) * steps + 1 of them."""
    pairs = zip(latents[:-1], latents[1:], strict=True)
    way = [slerp(start, end, step / steps) if step else start for start, end in pairs for step in range(steps)]
    return [*way, latents[-1]]


def crossfade(waves: Iterable[Wave], count: int, hop: int) -> Wave:
    """`count` clips [channels, T], each starting `hop` samples after the one before, faded into one another.

    Fades are quarter sines, divided by the root of the sum of their squares, so that clips that have nothing in common
    keep their power where two or more of them overlap.
    """
    total: NDArray[np.float32] = np.zeros(0, np.float32)
    power: NDArray[np.float32] = np.zeros(0, np.float32)
    for index, wave in enumerate(waves):
        length = wave.shape[1]
        if index == 0:
            total = np.zeros((len(wave), (count - 1) * hop + length), np.float32)
            power = np.zeros(total.shape[1], np.float32)
        window = np.ones(length, np.float32)
        fade = min(max(length - hop, 0), length // 2)
        rise = np.sin(np.pi / 2 * (np.arange(fade) + 0.5) / max(fade, 1))
        if index > 0:
            window[:fade] = rise
        if index < count - 1:
            window[length - fade :] = rise[::-1]
        total[:, index * hop : index * hop + length] += wave * window
        power[index * hop : index * hop + length] += window**2
    total /= np.sqrt(np.maximum(power, 1e-12, out=power), out=power)
    return total
