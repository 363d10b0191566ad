"""ImageSaver: sheets of generated pictures, or of spectrograms where the data are sound."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pggan_framework.errors import UserError
from pggan_framework.postprocessors.base import Artifact, Postprocessor
from pggan_framework.postprocessors.picture import (
    enlarge,
    grid_shape,
    picture_tiles,
    save_png,
    sheet,
    spectrogram_tiles,
    to_uint8,
)
from pggan_framework.registry import register


@register("postprocessor")
class ImageSaver(Postprocessor):
    """Saves all samples of a tick as one PNG sheet; the reals as ``reals.png`` in the run's folder.

    Pictures of every depth are drawn at the size of the full depth, so that the sheets of a run can be compared. Sound
    is drawn as coloured spectrograms with the low frequencies at the bottom, folded waveforms (``raw``) in grey.

    Args:
        samples_path: folder of the sheets, inside the run's folder.
        resolution: small pictures are enlarged by a whole factor until the sheet's shorter side is about this many
            pixels; nothing is ever made smaller. At least 1.
    """

    def __init__(self, samples_path: str = "images", resolution: int = 512) -> None:
        if resolution < 1:
            raise UserError(f"ImageSaver.resolution {resolution} is not allowed; allowed: 1 pixel or more")
        self.samples_path = samples_path
        self.resolution = resolution

    def save(self, samples: NDArray[np.float32], kind: str, kimg: int) -> list[Artifact]:
        """Write one sheet of `samples` [N, C, h, w] in [-1, 1].

        Raises:
            OSError: if the file cannot be written.
        """
        count, channels, height, width = samples.shape
        full_height, full_width = self.growth.shape[1:]
        down, across = max(full_height // height, 1), max(full_width // width, 1)
        spectrogram = self.codec is not None and self.codec.name != "raw"
        wide = across * width * (1 if channels in (1, 3, 4) and not spectrogram else channels)
        rows, columns = grid_shape(count, down * height, wide)
        factor = max(round(self.resolution / min(rows * down * height, columns * wide)), 1)
        large = enlarge(to_uint8(samples), (down * factor, across * factor))
        tiles = spectrogram_tiles(large) if spectrogram else picture_tiles(large)
        name = "reals.png" if kind == "reals" else f"{self.samples_path}/{kind}_{kimg:06d}.png"
        path = self.directory / name
        save_png(sheet(tiles, (rows, columns)), path)
        return [Artifact("image", kind, path)]
