"""Interpolation between latents, and cross-fading of the clips into one waveform."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pggan_framework.audio.base import Wave


class Place(NamedTuple):
    """A point of an interpolation: a latent [F] and, for a conditioned model, its label input [width] or [K, h, w]."""

    latent: torch.Tensor
    condition: torch.Tensor | None = None


def slerp(start: torch.Tensor, end: torch.Tensor, share: float) -> torch.Tensor:
    """Interpolate along the arc from latent `start` to `end` (Shoemake 1985): [F] at the fraction `share` of the arc.

    The norm is interpolated linearly. A straight line between two normal latents passes through norms that normal
    latents never have; an arc does not. Parallel or opposite latents have no unique arc, so these latents are
    interpolated along the line.
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


def steps_of(stops: int, steps: int, loop: bool = False) -> int:
    """Return the number of points that `walk` yields; a loop does not repeat the first stop."""
    return stops * steps if loop else (stops - 1) * steps + 1


def walk(stops: Sequence[Place], steps: int, loop: bool = False) -> Iterator[Place]:
    """Yield the points of an interpolation through `stops` lazily, with `steps` points from each stop to the next.

    Latents follow arcs; label inputs are interpolated linearly.
    """
    for index in range(steps_of(len(stops), steps, loop)):
        leg, step = divmod(index, steps)
        start, end = stops[leg], stops[(leg + 1) % len(stops)]
        if step == 0:
            yield start
            continue
        share = step / steps
        between = None
        if start.condition is not None and end.condition is not None:
            between = torch.lerp(start.condition, end.condition, share)
        yield Place(slerp(start.latent, end.latent, share), between)


def crossfade(waves: Iterable[Wave], count: int, hop: int, loop: bool = False) -> Wave:
    """Cross-fade `count` clips [channels, T], each starting `hop` samples after the previous one.

    Fades are quarter sines divided by the root of the sum of their squares, so the power of uncorrelated clips is
    constant where two or more of them overlap.

    Args:
        waves: the clips, all of the same length.
        count: number of clips.
        hop: samples from the start of one clip to the start of the next; at most the length of a clip.
        loop: fade the last clip into the first, so that the result, `count` * `hop` samples, loops seamlessly. It must
        be at least as long as a clip.
    """
    total: NDArray[np.float32] = np.zeros(0, np.float32)
    power: NDArray[np.float32] = np.zeros(0, np.float32)
    for index, wave in enumerate(waves):
        length = wave.shape[1]
        if index == 0:
            whole = count * hop if loop else (count - 1) * hop + length
            total = np.zeros((len(wave), whole), np.float32)
            power = np.zeros(whole, np.float32)
        window = np.ones(length, np.float32)
        fade = min(max(length - hop, 0), length // 2)
        rise = np.sin(np.pi / 2 * (np.arange(fade) + 0.5) / max(fade, 1))
        if index > 0 or loop:
            window[:fade] = rise
        if index < count - 1 or loop:
            window[length - fade :] = rise[::-1]
        places = (index * hop + np.arange(length)) % total.shape[1]
        total[:, places] += wave * window
        power[places] += window**2
    total /= np.sqrt(np.maximum(power, 1e-12, out=power), out=power)
    return total
