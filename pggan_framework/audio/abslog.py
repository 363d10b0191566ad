"""The codec ``abslog``: the logarithm of short-time magnitudes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import Wave
from pggan_framework.audio.magnitude import MagnitudeCodec
from pggan_framework.registry import register


@register("codec", "abslog")
class AbsLogCodec(MagnitudeCodec):
    """log(1 + k |S|), one magnitude channel per wave channel; decoding reconstructs the phases.

    The image has n_fft / 2 bins, from 0 Hz to just below Nyquist, and `frames` frames. The loudest magnitude of the
    fitted data is 1 and silence is exactly -1. k puts the knee of the logarithm 80 dB below the loudest magnitude, so
    the image does not depend on the level of the recordings, and quiet parts are not cut off. Differences in level
    between files are preserved, since files are not scaled individually. Decoding inverts the logarithm exactly, sets
    the Nyquist bin to 0 and runs fast Griffin-Lim.

    Args:
        sample_rate: samples per second.
        n_fft: window length in samples, a power of two.
        hop_length: number of samples between frames, at most n_fft / 2; n_fft / 4 is a good choice.
        frames: number of columns of an image (default: n_fft / 2, a square).
        channels: number of channels of a wave.
        margin: silent frames at each end that decoding discards, so that every sample is covered by all its windows
            (default: n_fft / (2 * hop_length), at most a quarter of all frames).
    """

    name = "abslog"

    def _values(self, wave: Wave) -> NDArray[np.float64]:
        return self._magnitude_spectrum(wave)

    def _magnitudes(self, values: NDArray[np.float64], device: str) -> NDArray[np.float64]:
        return values
