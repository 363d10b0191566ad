"""HDF5 files that contain every image at several sizes, written by the original tool or by `save_prepared`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pggan_framework.data.base import DepthDataset, Pixels, box_mean
from pggan_framework.data.store.h5_file import H5File, Level, damage, find_levels, open_h5, read_record, read_small
from pggan_framework.data.machine import Machine
from pggan_framework.data.sampling import Own
from pggan_framework.data.store.shards import Shards
from pggan_framework.errors import UserError
from pggan_framework.schedules.growth import Growth
from pggan_framework.labels.maps import space_from_state
from pggan_framework.labels.attributes import collect
from pggan_framework.registry import register
from pggan_framework.storage.limits import value_range


@register("dataset")
class OldH5Dataset(DepthDataset):
    """An HDF5 file of data sets ``data{h}x{w}``, [N, C, h, w] in uint8 or float16, one for each size.

    Reads the files of the original PGGAN tool (``data{r}x{r}``, r = R, R/2 ... 1, with ``<file>-labels.npy`` next to
    them) and prepared files. Images are read on demand at the requested size, so memory use does not depend on the file
    size. A size that is not stored is computed as the box mean of the next larger size.

    Args:
        h5_path: .h5 file with the images.
        max_images: number of images to use, starting with the first.
        resolution: longer side of the images at full depth; larger stored sizes are ignored.
        use_labels: condition the networks on the file's labels, integer classes [N] or one-hot rows [N, K]; a prepared
            file sets this option.
        model_dataset_depth_offset: log2 of the image side at depth 0; a prepared file sets this option.
        own_shards: let each machine use only the shards that are stored on it.

    Raises:
        UserError: if the file or a shard is missing, truncated, not HDF5, or contains no data sets of this layout.
    """

    def __init__(
        self,
        h5_path: Path,
        max_images: int | None = None,
        resolution: int | None = None,
        use_labels: bool = False,
        model_dataset_depth_offset: int = 2,
        range_out: tuple[float, float] = (-1, 1),
        own_shards: bool = False,
    ) -> None:
        self.h5_path = Path(h5_path)
        if max_images is not None and max_images < 1:
            raise UserError(f"max_images is {max_images}; it must be at least 1")
        with damage(self.h5_path), open_h5(self.h5_path) as file:
            self._record = read_record(file, self.h5_path)
            self._levels = find_levels(file, self.h5_path)
            stored = read_small(file, self.h5_path, "labels")
        self._file = self._open(own_shards)
        top = self._top(resolution)
        growth = self._prepared_growth(top)
        range_in = (0.0, 255.0) if top.dtype == np.uint8 else (-1.0, 1.0)
        super().__init__(
            top.shape[1:],
            model_dataset_depth_offset if growth is None else min(growth.seed).bit_length() - 1,
            None if growth is None else growth.seed,
            value_range(self._record.get("range_in", range_in), self.h5_path),
            range_out,
        )
        if growth is not None:
            self.growth = growth
        self._stored = top.shape[0]
        self._length = min(self._stored, max_images or self._stored)
        self.own = self._own()
        self._resolution = resolution
        self._sources = [self._source(depth) for depth in range(self.growth.max_depth + 1)]
        if use_labels or self._record.get("label_space"):
            self._take_labels(stored if stored is not None else self._beside())
        if state := self._record.get("codec"):
            from pggan_framework.audio import codec_from_state

            self.codec = codec_from_state(state)

    def _take_labels(self, stored: NDArray[Any] | None) -> None:
        """Set the labels from the file: indices into the label space that the file stores, or class numbers."""
        if stored is None:
            raise UserError(f"{self.h5_path} has no labels, neither inside nor next to it; leave out use_labels")
        stored = stored[: self._length]
        if space := self._record.get("label_space"):
            self.label_space = space_from_state(space)
            self.labels = self.label_space.typed(stored)
            return
        classes = stored.reshape(len(stored), -1)
        if classes.shape[1] > 1:
            if not np.array_equal(np.sort(classes, axis=1)[:, -2:], np.tile([0, 1], (len(classes), 1))):
                raise UserError(
                    f"the labels of {self.h5_path} are not classes: allowed: numbers [N] or one-hot rows [N, K]"
                )
            classes = classes.argmax(axis=1)[:, None]
        self.label_space, self.labels = collect({"class": classes[:, 0].tolist()})

    def __len__(self) -> int:
        return self._length

    def image(self, index: int) -> Pixels:
        """One image at full depth, [C, H, W]."""
        picture: Pixels = self.images([index], self.growth.max_depth)[0]
        return picture

    def images(self, indices: Sequence[int], depth: int) -> Pixels:
        """A batch [N, C, h, w] at `depth`, read from the level of that size."""
        level = self._sources[depth]
        stored = self._read(level, indices)
        size = self.growth.shape_at(depth)[1:]
        if level.shape[2:] == size:
            return stored
        return np.stack([box_mean(picture, size) for picture in stored])

    def summary(self) -> dict[str, str]:
        """The stored summary of prepared data, the file, and its stored sizes."""
        sizes = ", ".join(f"{level.shape[2]}x{level.shape[3]}" for level in self._levels)
        told: dict[str, str] = dict(self._record.get("summary", {}))
        told.pop("pictures", None)  # the name of "images" in files of earlier versions
        lines = told | super().summary() | {"file": str(self.h5_path), "stored sizes": sizes}
        return lines | self._file.summary() if isinstance(self._file, Shards) else lines

    def fingerprint(self) -> str:
        """The stored fingerprint of a prepared file; otherwise a digest of the levels and of 16 images."""
        known: str | None = self._record.get("fingerprint")
        if isinstance(self._file, Shards) and self._file.machine is not None:
            # No machine has all images, and the order in which they are shown depends on their assignment to shards.
            cuts = [shard.images for shard in self._file.files]
            return hashlib.sha256(repr((known, self._length, self.shape, cuts)).encode()).hexdigest()[:16]
        if known is not None and self._length == self._stored and self._resolution is None:
            return known
        shapes = [(level.shape, str(level.dtype)) for level in self._levels]
        digest = hashlib.sha256(repr((known, self._length, self.shape, shapes)).encode())
        spread = np.unique(np.linspace(0, self._length - 1, 16).astype(np.int64))
        for index in spread.tolist():
            digest.update(self.image(index).tobytes())
        return digest.hexdigest()[:16]

    def prepare(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Check every shard of a sharded set, so that defects are found before training instead of during it."""
        if isinstance(self._file, Shards):
            self._file.check()

    def _top(self, resolution: int | None) -> Level:
        """The level at full depth."""
        if resolution is None:
            return self._levels[0]
        for level in self._levels:
            if max(level.shape[2:]) == resolution:
                return level
        sides = ", ".join(str(max(level.shape[2:])) for level in self._levels)
        raise UserError(f"{self.h5_path} has no images of resolution {resolution}; allowed: {sides}")

    def _prepared_growth(self, top: Level) -> Growth | None:
        """The growth that a prepared file was written with, up to the level `top`."""
        if not self._record:
            return None
        growth = Growth.from_state({**self._record, "channels": top.shape[1]}, str(self.h5_path))
        for depth in range(growth.max_depth + 1):
            if growth.shape_at(depth) == top.shape[1:]:
                return Growth(growth.channels, growth.seed, growth.doubles[:depth])
        raise UserError(f"{self.h5_path}: {top.name} is not a depth of the prepared file")

    def _source(self, depth: int) -> Level:
        """The smallest stored level that contains `depth` or can be reduced to it."""
        _, height, width = self.growth.shape_at(depth)
        fitting = [
            level
            for level in self._levels
            if level.shape[2] >= height
            and level.shape[3] >= width
            and not (level.shape[2] % height or level.shape[3] % width)
        ]
        return min(fitting, key=lambda level: level.shape[2] * level.shape[3])

    def _read(self, level: Level, indices: Sequence[int]) -> Pixels:
        """Images of a level, [N, C, h, w]."""
        order = np.asarray(indices, np.int64)
        if order.size and not 0 <= order.min() <= order.max() < self._length:
            raise IndexError(f"image {order.max()} of {self._length}")
        return self._file.read(level.name, order)

    def _open(self, own_shards: bool) -> H5File | Shards:
        """Open the file or the set of shards."""
        if "shards" in self._record:
            machine = Machine.from_environment() if own_shards else None
            return Shards(self.h5_path, self._record, self._levels, machine)
        if own_shards:
            raise UserError(f"own_shards is given, but {self.h5_path} has none; 'pggan prepare --shards' makes some")
        return H5File(self.h5_path, self._levels)

    def _own(self) -> Own | None:
        """The images of this machine, if other machines have different images."""
        file = self._file
        if not isinstance(file, Shards) or file.machine is None or len(file.own) == len(file.files):
            return None
        ranges = file.own_pictures(self._length)
        if not ranges:
            raise UserError(f"max_images is {self._length}; none of these images is in this machine's shards")
        return Own(ranges, file.machine.processes, file.machine.world)

    def _beside(self) -> NDArray[Any] | None:
        """Labels from ``<file>-labels.npy``, with or without the extension ``.h5``."""
        for path in (self.h5_path.with_suffix(""), self.h5_path):
            file = path.with_name(path.name + "-labels.npy")
            if file.is_file():
                try:
                    labels: NDArray[Any] = np.load(file, allow_pickle=False)
                except (OSError, ValueError, EOFError) as error:
                    raise UserError(f"cannot read the labels {file}: {error}") from error
                if labels.ndim == 0 or len(labels) != self._stored:
                    raise UserError(f"{file} has labels of shape {labels.shape}; there are {self._stored} images")
                return labels
        return None
