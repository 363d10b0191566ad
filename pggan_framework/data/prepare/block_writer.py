"""Pictures decoded in blocks, and written at every depth to their places in a prepared file."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from pggan_framework.data.base import Pixels, box_means
from pggan_framework.data.images import png
from pggan_framework.data.images.files import reason
from pggan_framework.data.images.pixel_loops import Loops, Shrinker, fits, loops
from pggan_framework.data.prepare.image_plan import Plan
from pggan_framework.data.store.h5_file import read_levels
from pggan_framework.errors import UserError

WORTH_COMPILING = 256 << 20
"""Bytes of full-size pictures beyond which compiled loops, which take a second to load, gain more than that."""


class BlockWriter:
    """Decodes pictures in blocks and writes them, at every depth, to their places in a file.

    Args:
        plan: what is prepared.
        path: a file laid out for it.
        size: pictures in a block.
    """

    def __init__(self, plan: Plan, path: Path, size: int) -> None:
        self.plan, self.path, self.size = plan, path, size
        self._levels = sorted(read_levels(path), key=lambda level: level.shape[2] * level.shape[3])
        growth, count = plan.growth, len(plan.chosen)
        # Loaded here, so that the processes that are forked have them.
        whole = count if plan.shard is None else count * plan.shard[1]
        self._loops: Loops | None = loops() if whole * int(np.prod(growth.shape)) > WORTH_COMPILING else None
        self._shrink = Shrinker(self._loops, growth) if self._loops and fits(growth) else None
        # In each process its own, since they are forked.
        self._buffers: list[Pixels] = [
            np.empty((min(size, count), *growth.shape_at(depth)), np.uint8) for depth in range(growth.max_depth + 1)
        ]

    def write(self, block: int) -> list[tuple[int, str]]:
        """Write a block; returns which of the chosen pictures could not be decoded, and why. Zeros stand for them.

        Raises:
            OSError: if the file cannot be written.
            UserError: if there is not enough memory.
        """
        chosen = self.plan.chosen
        places = range(block * self.size, min((block + 1) * self.size, len(chosen)))
        broken = []
        for row, place in enumerate(places):
            picture = self._buffers[-1][row]
            try:
                self._decode(chosen[place], picture)
            except MemoryError as error:
                raise UserError(
                    f"there is not enough memory to decode {self.plan.source.name(chosen[place])}"
                ) from error
            except Exception as error:  # Pillow's readers raise many kinds of error on a broken file
                broken.append((place, reason(error)))
                picture[:] = 0
            if self._shrink:
                self._shrink(picture, self._buffers, row)
            else:
                for buffer, means in zip(self._buffers, box_means([picture], self.plan.growth), strict=True):
                    buffer[row] = means[0]
        self._put(places)
        return broken

    def _decode(self, index: int, out: Pixels) -> None:
        """Read a picture of the source into `out`, uint8 [C, H, W]."""
        from PIL import Image

        source, fitting = self.plan.source, self.plan.fitting
        content = source.content(index)
        # A picture that has the right size already is resized by no policy.
        if (
            content is not None
            and self._loops
            and fitting.cut is None
            and png.decode(content, out, self._loops.unfilter)
        ):
            return
        with source.read(index) if content is None else Image.open(io.BytesIO(content)) as image:
            picture = fitting.picture(image)
        if picture.size != (out.shape[2], out.shape[1]):
            raise ValueError(f"its header says {out.shape[1]}x{out.shape[2]}, it is {picture.height}x{picture.width}")
        for plane, band in zip(out, picture.split(), strict=True):  # faster than to turn the axes of an array
            plane[:] = np.frombuffer(band.tobytes(), np.uint8).reshape(plane.shape)

    def _put(self, places: range) -> None:
        """Write the buffers."""
        with self.path.open("r+b") as file:
            for level, buffer in zip(self._levels, self._buffers, strict=True):
                pictures = buffer[: len(places)]
                level.write(file, places.start, pictures)
                if self.plan.options.mirror:
                    mirrored = np.ascontiguousarray(pictures[..., ::-1])
                    level.write(file, len(self.plan.chosen) + places.start, mirrored)
