"""What the codecs made from a short-time Fourier transform share: sizes and their limits."""

from __future__ import annotations

from pggan_framework.audio.base import Codec
from pggan_framework.errors import UserError


class SpectralCodec(Codec):
    """Base of the codecs whose picture has a column a frame.

    Args:
        sample_rate: samples a second.
        n_fft: window length in samples, a power of two.
        hop_length: samples from frame to frame, at most n_fft / 2; n_fft / 4 is a good choice.
        frames: columns of a picture; n_fft / 2 by default, a square.
        channels: channels of a wave.

    Raises:
        UserError: if a size is outside its limits.
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        n_fft: int = 1024,
        hop_length: int = 128,
        frames: int | None = None,
        channels: int = 1,
    ) -> None:
        if n_fft < 8 or n_fft & (n_fft - 1):
            raise UserError(f"n_fft {n_fft} is not a power of two; allowed: 8, 16 ... 1024, 2048 ...")
        if not 1 <= hop_length <= n_fft // 2:
            raise UserError(f"hop_length {hop_length} does not fit n_fft {n_fft}; allowed: 1 to {n_fft // 2}")
        self.frames = n_fft // 2 if frames is None else frames
        for what, number in (("sample rate", sample_rate), ("frames", self.frames), ("channels", channels)):
            if number < 1:
                raise UserError(f"{what} {number} is not allowed; allowed: 1 or more")
        self.sample_rate, self.n_fft, self.hop_length, self.channels = sample_rate, n_fft, hop_length, channels
        self.samples = self.frames * hop_length
        self.statistics = {}
        self.parameters = {
            "sample_rate": sample_rate,
            "n_fft": n_fft,
            "hop_length": hop_length,
            "frames": self.frames,
            "channels": channels,
        }
