"""Datasets whose pictures are encoded sounds."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np

from pggan_framework.audio import Codec, Wave, build_codec
from pggan_framework.data.base import DepthDataset, Pixels

ImgMode = Literal["abslog", "mellog", "if", "ifmel", "complex", "reallog", "raw"]


def codec_for(img_mode: str, sample_rate: int, n_fft: int | None, hop_length: int | None, frames: int | None) -> Codec:
    """The codec of a picture mode; None leaves a size to the mode's own default.

    ``raw`` holds as many samples as an ``abslog`` spectrum of these sizes would.

    Raises:
        UserError: if the mode is unknown or a size is outside its limits.
    """
    given = {"sample_rate": sample_rate, "n_fft": n_fft, "hop_length": hop_length, "frames": frames}
    sizes = {name: size for name, size in given.items() if size is not None}
    if img_mode != "raw":
        return build_codec(img_mode, **sizes)
    return build_codec("raw", sample_rate=sample_rate, samples=build_codec("abslog", **sizes).samples)


class WaveDataset(DepthDataset):
    """Base of the datasets made of sound: a subclass gives the waves, this fits the codec to them and encodes.

    A subclass sets what `wave` and `__len__` need, then calls ``super().__init__``. There the codec is fitted in one
    pass over `waves`. Encoded pictures are float16 in (-1, 1), and equal bit for bit whether they are kept in memory or
    made when asked for, in a worker process or here.

    Args:
        codec: turns waves into pictures; fitted here.
        preload: keep all encoded pictures in memory instead of encoding at each access.
        model_dataset_depth_offset: log2 of the shorter side of the pictures at depth 0.
        seed_shape: [h, w] of the pictures at depth 0 where it is not given by the offset.
        range_out: value range the networks see.
    """

    codec: Codec

    def __init__(
        self,
        codec: Codec,
        preload: bool = False,
        model_dataset_depth_offset: int = 2,
        seed_shape: tuple[int, int] | None = None,
        range_out: tuple[float, float] = (-1, 1),
    ) -> None:
        super().__init__(codec.shape, model_dataset_depth_offset, seed_shape, (-1, 1), range_out)
        self.codec = codec
        self._pictures: Pixels | None = None
        waves: Iterable[Wave] = self.waves()
        if preload:
            waves = list(waves)
        codec.fit(waves)
        if preload:
            pictures = np.empty((len(self), *codec.shape), dtype=np.float16)
            for index, wave in enumerate(waves):
                pictures[index] = self._encode(wave)
            self._pictures = pictures

    @abstractmethod
    def wave(self, index: int) -> Wave:
        """One sound as long as a picture, [codec.samples]; the same bits each time."""

    def waves(self) -> Iterator[Wave]:
        """All sounds in order, for fitting; called once. A subclass may find out here which sounds it has."""
        for index in range(len(self)):
            yield self.wave(index)

    def _encode(self, wave: Wave) -> Pixels:
        return self.codec.encode(wave).astype(np.float16)

    def image(self, index: int) -> Pixels:
        """One encoded sound, float16 [C, bins, frames] in (-1, 1)."""
        return self._encode(self.wave(index)) if self._pictures is None else self._pictures[index]

    def summary(self) -> dict[str, str]:
        """What a person should know of the data, in words."""
        codec = self.codec
        parameters = ", ".join(f"{key} {value}" for key, value in codec.parameters.items())
        fitted = ", ".join(f"{key} {value:.6g}" for key, value in codec.statistics.items())
        channels, height, width = self.shape
        return {
            "sounds": f"{len(self)} of {codec.samples} samples ({codec.samples / codec.sample_rate:.3f} s) at"
            f" {codec.sample_rate} Hz",
            "pictures": f"{len(self)}, {channels} x {height} x {width}, values -1 to 1,"
            f" {'kept in memory' if self._pictures is not None else 'encoded at each access'}",
            "codec": f"{codec.name} ({parameters}), fitted to all sounds: {fitted}",
        }
