"""The codec ``abslog``: the logarithm of short-time magnitudes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import Wave
from pggan_framework.audio.magnitude import MagnitudeCodec
from pggan_framework.registry import register


@register("codec", "abslog")
class AbsLogCodec(MagnitudeCodec):
    """log(1 + k |S|), one channel of magnitudes for each of the wave's; the phases are found again in decoding.

    The picture has n_fft / 2 bins, 0 Hz to just below Nyquist, and `frames` frames. The loudest magnitude of the fitted
    data is 1 and silence -1, exactly; k puts the knee of the logarithm 80 dB below the loudest, so that the picture
    does not depend on the level of the recordings, and no floor cuts anything off. Nothing is scaled by file, so levels
    are kept. Decoding undoes the logarithm exactly, takes the Nyquist bin as 0 and runs fast Griffin-Lim.

    Args:
        sample_rate: samples a second.
        n_fft: window length in samples, a power of two.
        hop_length: samples from frame to frame, at most n_fft / 2; n_fft / 4 is a good choice.
        frames: columns of a picture; n_fft / 2 by default, a square.
        channels: channels of a wave.
        margin: frames before the first sample and after the last one, of silence, that decoding cuts off; by default
            n_fft / (2 * hop_length), at most a quarter of all frames. Every sample is then seen by all its windows.
    """

    name = "abslog"

    def _values(self, wave: Wave) -> NDArray[np.float64]:
        return self._magnitude_spectrum(wave)

    def _magnitudes(self, values: NDArray[np.float64], device: str) -> NDArray[np.float64]:
        return values
