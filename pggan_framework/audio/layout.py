"""Convert waves and arrays to one layout: with or without channels, single or in a batch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import Wave


def with_channels(wave: Wave, channels: int) -> Wave:
    """[T] or [channels, T] -> float32 [channels, T].

    Raises:
        ValueError: if the wave has a different number of channels, no samples, or a non-finite value.
    """
    samples = np.asarray(wave, dtype=np.float32)
    samples = samples[None] if samples.ndim == 1 else samples
    if samples.ndim != 2 or samples.shape[0] != channels or samples.shape[1] == 0:
        raise ValueError(f"a wave of shape {list(np.shape(wave))} is not [T] or [{channels}, T]")
    if not np.all(np.isfinite(samples)):
        raise ValueError("a wave holds values that are not finite numbers")
    return samples


def as_batch(
    array: NDArray[Any], channels: int, height: int | None = None, nothing: float = -1.0
) -> NDArray[np.float64]:
    """[C, h, w] or [N, C, h, w] -> [N, C, h, w], clipped to [-1, 1]; NaN becomes `nothing`, the value of silence.

    Raises:
        ValueError: if C differs from `channels`, or h from `height`, if given.
    """
    batch = np.asarray(array, dtype=np.float64)
    batch = batch[None] if batch.ndim == 3 else batch
    if batch.ndim != 4 or batch.shape[1] != channels or batch.shape[2] != (height or batch.shape[2]):
        wanted = f"[{channels}, {height or 'h'}, w]"
        raise ValueError(f"an array of shape {list(np.shape(array))} is not {wanted} or a batch of them")
    return np.clip(np.nan_to_num(batch, nan=nothing), -1.0, 1.0)


def as_waves(waves: NDArray[Any], batched: bool) -> Wave:
    """[N, channels, T] -> float32; the channel axis is removed if `channels` is 1, the batch axis unless `batched`."""
    waves = waves.astype(np.float32)
    waves = waves[:, 0] if waves.shape[1] == 1 else waves
    return waves if batched else waves[0]
