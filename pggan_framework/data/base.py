"""The data's side of progressive growing: a dataset that has every picture at every depth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pggan_framework.growth import Growth

if TYPE_CHECKING:
    from pggan_framework.audio.base import Codec

Pixels = NDArray[Any]
"""uint8 or float16 pictures, [N, C, h, w] or [C, h, w]."""


class DepthDataset(ABC):
    """Pictures that can be had at every depth.

    A subclass calls ``super().__init__(shape, ...)`` when it knows its shape, and gives `__len__` and `image`; that is
    all it takes to train on it. Where smaller versions are stored already, override `images` too.

    Args:
        shape: [C, H, W] at full depth; an array passed by the subclass, no flag.
        model_dataset_depth_offset: log2 of the shorter side of the pictures at depth 0.
        seed_shape: [h, w] of the pictures at depth 0 where it is not given by the offset.
        range_in: value range of the stored pictures: (0, 255) for uint8.
        range_out: value range the networks see.
    """

    codec: Codec | None = None
    """What turns a picture back into sound, for data that are sound."""

    def __init__(
        self,
        shape: Sequence[int],
        model_dataset_depth_offset: int = 2,
        seed_shape: tuple[int, int] | None = None,
        range_in: tuple[float, float] = (0, 255),
        range_out: tuple[float, float] = (-1, 1),
    ) -> None:
        self.growth = Growth.of(shape, seed_shape, model_dataset_depth_offset)
        self.model_dataset_depth_offset = model_dataset_depth_offset
        self.range_in = range_in
        self.range_out = range_out

    @property
    def shape(self) -> tuple[int, int, int]:
        """[C, H, W] at full depth."""
        return self.growth.shape

    @abstractmethod
    def __len__(self) -> int:
        """How many pictures there are."""

    @abstractmethod
    def image(self, index: int) -> Pixels:
        """One picture at full depth, [C, H, W], uint8 or float16, values in `range_in`; 0 <= index < len."""

    def images(self, indices: Sequence[int], depth: int) -> Pixels:
        """A batch [N, C, h, w] at `depth`: the mean over each box of the full picture, in the picture's own dtype."""
        size = self.growth.shape_at(depth)[1:]
        return np.stack([box_mean(self.image(index), size) for index in indices])

    def pyramid(self, indices: Sequence[int]) -> list[Pixels]:
        """What `images` gives at every depth, smallest first, for whoever wants all of them (`save_prepared`)."""
        if type(self).images is DepthDataset.images:
            return box_means([self.image(index) for index in indices], self.growth)
        return [self.images(indices, depth) for depth in range(self.growth.max_depth + 1)]

    def summary(self) -> dict[str, str]:
        """What a person should know of the data, in words: how many, shape, what was cut, padded, skipped."""
        return {"pictures": str(len(self)), "shape": "x".join(map(str, self.shape))}

    @abstractmethod
    def fingerprint(self) -> str:
        """A short hex digest of the files and parameters: the same data give the same digest."""


def box_mean(image: Pixels, size: Sequence[int]) -> Pixels:
    """Shrink [..., H, W] to [..., h, w] by the mean over each box, rounded to nearest in uint8.

    `H` and `W` are multiples of `h` and `w`. The mean is taken in float32 over the full picture, so that no depth
    inherits another's rounding.
    """
    *lead, height, width = image.shape
    rows, columns = height // size[0], width // size[1]
    if (rows, columns) == (1, 1):
        return image
    boxes = image.reshape(*lead, size[0], rows, size[1], columns).astype(np.float32)
    mean = boxes.mean(axis=(-3, -1))
    small: Pixels = (np.rint(mean) if image.dtype == np.uint8 else mean).astype(image.dtype)
    return small


def box_means(pictures: Sequence[Pixels], growth: Growth) -> list[Pixels]:
    """Full pictures [C, H, W] as batches [N, C, h, w] of every depth, smallest first."""
    sizes = [growth.shape_at(depth)[1:] for depth in range(growth.max_depth + 1)]
    return [np.stack([box_mean(picture, size) for picture in pictures]) for size in sizes]
