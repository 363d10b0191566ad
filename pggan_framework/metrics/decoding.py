"""Decode images to clips in the same way for reals and fakes, so that both include the decoding error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import Codec
from pggan_framework.audio.finish import finished
from pggan_framework.labels.attributes import Labels, LabelSpace
from pggan_framework.metrics.base import Clips


def decoded(
    codec: Codec,
    pictures: NDArray[np.float32],
    midi: NDArray[np.float64] | None = None,
    griffin_lim_iter: int = 32,
    device: str = "cpu",
) -> Clips:
    """Decode images [N, C, h, w] in [-1, 1] of any depth, enlarged to full size, like SoundSaver.

    Args:
        codec: the fitted codec of the data.
        pictures: the images to decode.
        midi: the intended pitch of each image, [N].
        griffin_lim_iter: Griffin-Lim iterations, for images without phases.
        device: device of the Griffin-Lim iterations.
    """
    _, height, width = codec.shape
    full = pictures.repeat(height // pictures.shape[2], axis=2).repeat(width // pictures.shape[3], axis=3)
    waves = codec.decode(full, griffin_lim_iter=griffin_lim_iter, device=device, refine_iter=16)
    return Clips(
        finished(waves, codec.sample_rate, start_db=codec.start_db), codec.sample_rate, full, codec, midi, waves
    )


def midi_of(space: LabelSpace | None, labels: Labels | None) -> NDArray[np.float64] | None:
    """Return the MIDI numbers [N] of labels [N, A]; None without a label ``pitch``, or for values beyond 0 to 127."""
    names = [] if space is None else [attribute.name for attribute in space.attributes]
    if space is None or labels is None or "pitch" not in names:
        return None
    place = names.index("pitch")
    attribute = space.attributes[place]
    try:
        values = np.array([float(value) for value in attribute.span or attribute.values])
    except ValueError:
        return None
    if not np.all((values >= 0) & (values <= 127)):
        return None
    column = labels[:, place]
    return values[column.astype(np.int64)] if attribute.span is None else column.astype(np.float64)
