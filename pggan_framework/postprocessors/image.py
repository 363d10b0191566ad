"""ImageSaver: sample grids of generated images, or of spectrograms for sound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pggan_framework.errors import UserError
from pggan_framework.postprocessors.base import Artifact, Postprocessor
from pggan_framework.postprocessors.picture import arrange, enlarge, picture_tiles, save_png, sheet, to_uint8
from pggan_framework.postprocessors.spectrogram import spectrogram_sheet
from pggan_framework.registry import register

if TYPE_CHECKING:
    from PIL.Image import Image


@register("postprocessor")
class ImageSaver(Postprocessor):
    """Saves all samples of a tick as a grid in one PNG; the reals as ``reals.png`` in the run's folder.

    Images of every depth are drawn at the size of the full depth, so that the grids of a run are comparable. Sound is
    drawn as coloured spectrograms with low frequencies at the bottom and axes in Hz and seconds; folded waveforms
    (``raw``) in grey.

    Args:
        samples_path: folder of the grids, inside the run's folder.
        resolution: approximate shorter side of the grid in pixels, at least 1; images are enlarged by an integer factor
            and never reduced.
        axes: draw numbered axes on spectrograms and name their channels.
    """

    def __init__(self, samples_path: str = "images", resolution: int = 512, axes: bool = True) -> None:
        if resolution < 1:
            raise UserError(f"ImageSaver.resolution {resolution} is not allowed; allowed: 1 pixel or more")
        self.samples_path = samples_path
        self.resolution = resolution
        self.axes = axes

    def save(self, samples: NDArray[np.float32], kind: str, kimg: int) -> list[Artifact]:
        """Write one grid of `samples` [N, C, h, w] in [-1, 1].

        Raises:
            OSError: if the file cannot be written.
        """
        name = f"{kind}.png" if kind in ("reals", "maps") else f"{self.samples_path}/{kind}_{self.numbered(kimg)}.png"
        save_png(self.sheet(samples), self.directory / name)
        return [Artifact("image", kind, self.directory / name)]

    def sheet(self, samples: NDArray[np.float32], columns: int | None = None) -> Image:
        """Draw `samples` [N, C, h, w] in [-1, 1] as one grid.

        Args:
            samples: images of any depth.
            columns: samples per row (default: about as many as rows).
        """
        full_height, full_width = self.growth.shape[1:]
        if self.codec is not None and self.codec.row_hz() is not None:
            return spectrogram_sheet(
                samples, self.codec, (full_height, full_width), self.resolution, self.axes, columns
            )
        count, channels, height, width = samples.shape
        down, across = max(full_height // height, 1), max(full_width // width, 1)
        wide = across * width * (1 if channels in (1, 3, 4) else channels)
        grid, factor = arrange(count, down * height, wide, self.resolution, columns)
        return sheet(picture_tiles(enlarge(to_uint8(samples), (down * factor, across * factor))), grid)
