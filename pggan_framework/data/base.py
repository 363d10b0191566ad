"""The dataset interface of progressive growing: every image at every depth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import Labels, LabelSpace
from pggan_framework.registry import contract
from pggan_framework.schedules.growth import Growth

if TYPE_CHECKING:
    from pggan_framework.audio.base import Codec
    from pggan_framework.data.sampling import Own

Pixels = NDArray[Any]
"""uint8 or float16 images, [N, C, h, w] or [C, h, w]."""


@contract("dataset")
class DepthDataset(ABC):
    """Images that are available at every depth.

    A subclass calls ``super().__init__(shape, ...)`` as soon as it knows its shape, and implements `__len__` and
    `image`. Training needs nothing else. If smaller versions are already stored, the subclass also overrides `images`.

    Args:
        shape: [C, H, W] at full depth; passed by the subclass, not a flag.
        model_dataset_depth_offset: log2 of the shorter side of the images at depth 0.
        seed_shape: [h, w] of the images at depth 0, if the offset does not determine it.
        range_in: value range of the stored images: (0, 255) for uint8.
        range_out: value range of the images that the networks receive.
    """

    injected: ClassVar[tuple[str, ...]] = ("shape",)
    codec: Codec | None = None
    """Converts images back to sound, for sound data."""
    label_space: LabelSpace | None = None
    """The labels of the images that networks can be conditioned on, if any."""
    labels: Labels | None = None
    """The labels of all images, [len, A], encoded as `label_space` defines; None if `label_space` is None."""
    own: Own | None = None
    """The images on this machine, if it does not have all of them."""

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
        self.replaced: dict[int, tuple[int, str]] = {}
        """Damaged examples: index -> (index of the replacement, reason with the file's name)."""
        self.range_in = range_in
        self.range_out = range_out

    @property
    def shape(self) -> tuple[int, int, int]:
        """[C, H, W] at full depth."""
        return self.growth.shape

    @abstractmethod
    def __len__(self) -> int:
        """The number of images."""

    @abstractmethod
    def image(self, index: int) -> Pixels:
        """One image at full depth, [C, H, W], uint8 or float16, values in `range_in`; 0 <= index < len."""

    def images(self, indices: Sequence[int], depth: int) -> Pixels:
        """A batch [N, C, h, w] at `depth`: the mean over each box of the full image, in the image's own dtype."""
        size = self.growth.shape_at(depth)[1:]
        return np.stack([box_mean(self.image(index), size) for index in indices])

    def images_at(self, indices: Sequence[int], depth: int, epochs: Sequence[int]) -> Pixels:
        """A batch of training images, equal to `images` unless the dataset varies its images between epochs.

        Args:
            indices: N images.
            depth: 0 is the smallest.
            epochs: the epoch of each image, from 0; the same epoch gives the same bits.
        """
        return self.images(indices, depth)

    def pyramid(self, indices: Sequence[int]) -> list[Pixels]:
        """The results of `images` at every depth, smallest first, for callers that need all (`save_prepared`)."""
        if type(self).images is DepthDataset.images:
            return box_means([self.image(index) for index in indices], self.growth)
        return [self.images(indices, depth) for depth in range(self.growth.max_depth + 1)]

    def prepare(self, progress: Callable[[int, int], None] | None = None) -> None:  # noqa: B027 - nothing, by default
        """Prepare the data before training, so that later reads are faster; no bit changes. A dry run skips this step.

        Args:
            progress: called with the number of finished images and the total.

        Raises:
            UserError: if the data cannot be read or the disk cannot be written.
        """

    def present(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """The subset of `numbers` whose images are on this machine, in the same order."""
        if self.own is None:
            return numbers
        inside = [(numbers >= each.start) & (numbers < each.stop) for each in self.own.ranges]
        return numbers[np.any(inside, axis=0)]

    def check_all_present(self, what: str) -> None:
        """Raise an error for a feature that needs every image, if this machine does not have all of them.

        Args:
            what: name of the feature, for the message.

        Raises:
            UserError: if this machine does not have all images.
        """
        if self.own is not None:
            raise UserError(
                f"{what} looks at images from everywhere in the data, and with own_shards each machine has but its"
                f" own; leave {what} out, and use 'pggan evaluate' on a machine with all shards"
            )

    def recordings(self) -> list[str] | None:
        """The name of the recording that each example is a part of; by default None, no parts."""
        return None

    def summary(self) -> dict[str, str]:
        """A summary of the data as text: number, shape, and what was cut, padded or skipped."""
        return {"images": str(len(self)), "shape": "x".join(map(str, self.shape))}

    @abstractmethod
    def fingerprint(self) -> str:
        """A short hex digest of the files and parameters: the same data give the same digest."""

    def has_fingerprint(self, fingerprint: str) -> bool:
        """True if a stored fingerprint matches these data."""
        return fingerprint == self.fingerprint()


def box_mean(image: Pixels, size: Sequence[int]) -> Pixels:
    """Shrink [..., H, W] to [..., h, w] by the mean over each box, rounded to nearest.

    `H` and `W` are multiples of `h` and `w`. The mean is computed from the full image, so no depth inherits the
    rounding of another. The sums are exact: float64 represents sums of uint8 and float16 values exactly, whatever the
    order of addition.
    """
    if image.shape[-2:] == tuple(size):
        return image
    return _mean(_box_sums(image.astype(np.float64), size), image)


def box_means(pictures: Sequence[Pixels], growth: Growth) -> list[Pixels]:
    """Full images [C, H, W] -> batches [N, C, h, w] at every depth, smallest first; equal to `box_mean`."""
    sizes = [growth.shape_at(depth)[1:] for depth in range(growth.max_depth + 1)]
    levels = [np.empty((len(pictures), growth.channels, *size), pictures[0].dtype) for size in sizes]
    for index, picture in enumerate(pictures):
        sums = picture.astype(np.float64)
        for level, size in zip(reversed(levels), reversed(sizes), strict=True):
            # The sum of a box is the sum of the boxes within it at the next depth.
            sums = _box_sums(sums, size)
            level[index] = picture if size == picture.shape[1:] else _mean(sums, picture)
    return levels


def _box_sums(values: NDArray[np.float64], size: Sequence[int]) -> NDArray[np.float64]:
    """Shrink [..., H, W] to [..., h, w] by the sum over each box."""
    rows, columns = values.shape[-2] // size[0], values.shape[-1] // size[1]
    while rows % 2 == 0:  # adding halves is several times faster than numpy's sum over short axes
        values, rows = values[..., 0::2, :] + values[..., 1::2, :], rows // 2
    while columns % 2 == 0:
        values, columns = values[..., 0::2] + values[..., 1::2], columns // 2
    if (rows, columns) != (1, 1):
        values = values.reshape(*values.shape[:-2], size[0], rows, size[1], columns).sum(axis=(-3, -1))
    return values


def _mean(sums: NDArray[np.float64], image: Pixels) -> Pixels:
    """Convert sums over boxes of `image` to means, in its dtype."""
    mean = sums / (image.shape[-1] * image.shape[-2] // (sums.shape[-1] * sums.shape[-2]))
    small: Pixels = (np.rint(mean) if image.dtype == np.uint8 else mean).astype(image.dtype)
    return small
