"""Interpolation between latents, and crossfading of its clips into one wave."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pggan_framework.audio.base import Wave


class Place(NamedTuple):
    """A place on a walk: a latent [F], and what the generator sees of a label, [width] or [K, h, w], if anything."""

    latent: torch.Tensor
    condition: torch.Tensor | None = None


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


def steps_of(stops: int, steps: int, loop: bool = False) -> int:
    """How many places `walk` gives: a loop leads back to the first stop, which is not there a second time."""
    return stops * steps if loop else (stops - 1) * steps + 1


def walk(stops: Sequence[Place], steps: int, loop: bool = False) -> Iterator[Place]:
    """The points of an interpolation through `stops`, `steps` from each to the next, each made when it is requested.

    Latents follow arcs, what the generator sees of labels follows the line: a fraction of one class and the rest of the
    other in between.
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
    """`count` clips [channels, T], each starting `hop` samples after the one before, faded into one another.

    Fades are quarter sines, divided by the root of the sum of their squares, so that clips that have nothing in common
    keep their power where two or more of them overlap.

    Args:
        waves: the clips, all of one length.
        count: how many.
        hop: from the start of one to that of the next, in samples; at most a clip.
        loop: the last is faded into the first, so that the whole, `count` * `hop` samples, can be played in a circle.
            It must be at least as long as a clip.
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
