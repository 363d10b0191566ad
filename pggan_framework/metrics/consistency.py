"""Spectral consistency: how close a generated spectrogram is to the spectrogram of a wave."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio import complexlog, instantaneous, magnitude, reallog
from pggan_framework.audio.base import Codec
from pggan_framework.audio.curve import expand
from pggan_framework.metrics.base import Clips, Features, Metric
from pggan_framework.registry import register

BEST_DB = -200.0
"""The value in dB for two equal spectrograms."""


def magnitudes(codec: Codec, pictures: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """Return the linear magnitudes [N, ...] of images [N, C, H, W]; None if the images contain samples (``raw``)."""
    array = pictures.astype(np.float64)
    if isinstance(codec, magnitude.MagnitudeCodec):
        return expand((array + 1) / 2, codec.statistic("peak"), magnitude.KNEE)
    if isinstance(codec, instantaneous.IfCodec):
        return expand((array[:, 0::2] + 1) / 2, codec.statistic("peak"), instantaneous.KNEE)
    if isinstance(codec, complexlog.ComplexCodec):
        parts = expand(array, codec.statistic("peak"), complexlog.KNEE)
        return np.hypot(parts[:, 0::2], parts[:, 1::2])
    if isinstance(codec, reallog.RealLogCodec):
        return np.abs(expand(array, codec.statistic("peak"), reallog.KNEE))
    return None


@register("metric", "consistency")
class Consistency(Metric):
    """Spectral consistency: decode a spectrogram, encode the wave, compare the two magnitudes; median in dB.

    The value is 20 log10(|A - B| / |A|) with the linear magnitudes A of the spectrogram and B of its wave. It measures
    inconsistent magnitudes and the error of the phase reconstruction. Lower is better; the value of the reals is the
    limit of the codec.
    """

    name = "consistency"
    alone = True

    def lacks(self, clips: Clips) -> str:
        """Require images with magnitudes."""
        if clips.codec is None or clips.pictures is None:
            return "the images that the sounds were decoded from, and their codec"
        shown = magnitudes(clips.codec, clips.pictures[:1])
        return f"images that hold magnitudes; those of the codec {clips.codec.name} hold none" if shown is None else ""

    def features(self, clips: Clips) -> Features:
        """Return the difference in dB of each clip, [N, 1]."""
        assert clips.codec is not None and clips.pictures is not None
        waves = clips.waves if clips.decoded is None else clips.decoded
        again = np.stack([clips.codec.encode(wave) for wave in waves])
        wanted, found = (magnitudes(clips.codec, each) for each in (np.clip(clips.pictures, -1, 1), again))
        assert wanted is not None and found is not None
        norm, distance = (np.linalg.norm(each.reshape(len(clips), -1), axis=1) for each in (wanted, wanted - found))
        # The norm of a silent spectrogram is 0: it is consistent if its wave is silent too, and otherwise inconsistent.
        share = np.where(norm > 0, distance / np.where(norm > 0, norm, 1), (distance > 0).astype(float))
        decibels: Features = 20 * np.log10(np.maximum(share, 10 ** (BEST_DB / 20)))[:, None]
        return decibels

    def compare(self, reals: Features, others: Features) -> dict[str, float]:
        """Return one value, ``consistency``, in dB."""
        self.check_count(others)
        return {self.name: float(np.median(others))}
