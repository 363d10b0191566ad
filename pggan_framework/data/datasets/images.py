"""A folder of pictures of any kind."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pggan_framework.data.base import DepthDataset, Pixels, box_means
from pggan_framework.data.images.fitting import CHANNELS, POLICIES, Fitting
from pggan_framework.data.labels.labelling import read_labels
from pggan_framework.data.images.files import SUFFIXES, colour, header_size, reason, tail
from pggan_framework.data.walk import walk
from pggan_framework.errors import UserError
from pggan_framework.schedules.growth import Growth
from pggan_framework.registry import register


@register("dataset")
class DefaultImageFolderDataset(DepthDataset):
    r"""Every picture in a folder and the folders below it, in order of their names.

    Any kind of picture has a defined outcome. 16-bit grey is scaled to 8 bit, the EXIF orientation is applied, an
    animation gives its first frame, transparency is laid over `background` (and stays transparency in ``RGBA``);
    colour and transparency are resized together, so that no rim appears. Resizing is Lanczos, from the full picture.
    A file that cannot be read is skipped and named in the summary; 32-bit float files are among them, since their
    range is not defined.

    Args:
        dir_path: the folder.
        preload: keep all pictures in memory, at every depth, as uint8. The batches are the same either way.
        imread_mode: channels of the pictures: RGB, L (grey) or RGBA.
        size: side, or height and width, of the pictures at full depth; needed by a resize policy.
        resize: what to do with pictures of other sizes. none: all must have one size, which can be halved down to the
            seed block; stretch; crop: scale the shorter side and cut the middle; pad: fit and fill with the background.
        background: colour under transparent pictures and around padded ones: a name such as white, or #rrggbb.
        max_images: use only the first so many.
        mirror: use each picture's mirror image, left for right, as one more picture; all of them come after the last.
        labels: names of the attributes that networks are to be conditioned on: columns of the table, groups of the
            pattern, attributes in the JSON, or ``folder``, the first folder a file lies in. By default none, or all of
            the pattern's, or the only one of the table or the JSON.
        continuous_labels: those of the labels that are numbers in a range, such as a brightness or an angle, and not
            one of several values.
        labels_csv: a table of labels: CSV with a header, one column the files' names relative to dir_path, called
            ``file`` or the first.
        labels_pattern: a regular expression with named groups that finds labels in the files' names relative to
            dir_path, such as ``^(?P<breed>[a-z]+)_\d+``.
        labels_json: a JSON file that maps the files' names to attributes, ``{"a.png": {"hair": "red"}}``, or as
            StyleGAN2-ADA's dataset.json to a ``class``, ``{"labels": [["a.png", 3]]}``.
        model_dataset_depth_offset: log2 of the shorter side of the pictures at depth 0.
        seed_shape: height and width of the pictures at depth 0, where the offset does not give them.
        range_out: value range the networks see.

    Raises:
        UserError: if the folder is missing or has no readable picture, the sizes do not fit, or a picture has no label.
    """

    def __init__(
        self,
        dir_path: Path,
        preload: bool = False,
        imread_mode: Literal["RGB", "L", "RGBA"] = "RGB",
        size: int | tuple[int, int] | None = None,
        resize: Literal["none", "stretch", "crop", "pad"] = "none",
        background: str = "white",
        max_images: int | None = None,
        mirror: bool = False,
        labels: list[str] | None = None,
        continuous_labels: list[str] | None = None,
        labels_csv: Path | None = None,
        labels_pattern: str | None = None,
        labels_json: Path | None = None,
        model_dataset_depth_offset: int = 2,
        seed_shape: tuple[int, int] | None = None,
        range_out: tuple[float, float] = (-1, 1),
    ) -> None:
        self.dir_path = Path(dir_path)
        self.imread_mode = imread_mode
        self.resize = resize
        self.background = colour(background)
        self.mirror = mirror
        self._scan(max_images)
        table, json_file = (None if path is None else Path(path) for path in (labels_csv, labels_json))
        names = [self._name(file) for file in self._files]
        self._file_labels = read_labels(
            names, labels, table, labels_pattern, type(self).__name__, json_file, continuous_labels
        )
        if self._file_labels is not None:
            self.label_space, of_files = self._file_labels.collect()
            self.labels = np.concatenate([of_files, of_files]) if mirror else of_files
        height, width = self._full_size(size)
        channels = CHANNELS[imread_mode]
        try:
            Growth.of((channels, height, width), seed_shape, model_dataset_depth_offset)
        except UserError as error:
            if resize != "none":
                raise
            raise UserError(
                f"{self._files[0]} is {height}x{width}: {error}; resize policies, with a size: {POLICIES}"
            ) from error
        super().__init__((channels, height, width), model_dataset_depth_offset, seed_shape, (0, 255), range_out)
        self._fitting = Fitting(imread_mode, (height, width), resize, self.background)
        self._levels: list[NDArray[np.uint8]] | None = None
        if preload:
            self._preload()

    def __len__(self) -> int:
        return len(self._files) * (2 if self.mirror else 1)

    def image(self, index: int) -> Pixels:
        """One picture at full depth, uint8 [C, H, W]."""
        if not 0 <= index < len(self):
            raise IndexError(f"picture {index} of {len(self)}")
        mirrored, number = divmod(index, len(self._files))
        picture: Pixels = self._decode(self._files[number]) if self._levels is None else self._levels[-1][number]
        return np.ascontiguousarray(picture[..., ::-1]) if mirrored else picture

    def images(self, indices: Sequence[int], depth: int) -> Pixels:
        """A batch, uint8 [N, C, h, w], at `depth`."""
        if self._levels is None:
            return super().images(indices, depth)
        mirrored, numbers = np.divmod(np.asarray(indices, dtype=np.int64), len(self._files))
        batch: Pixels = self._levels[depth][numbers]
        batch[mirrored > 0] = batch[mirrored > 0, ..., ::-1]
        return batch

    def pyramid(self, indices: Sequence[int]) -> list[Pixels]:
        """Batches of every depth, each picture read once."""
        return box_means([self.image(index) for index in indices], self.growth)

    def summary(self) -> dict[str, str]:
        """How many pictures of which shape, how they were resized, and which files were skipped and why."""
        sizes = sorted(set(self._sizes))
        found = "x".join(map(str, sizes[0])) if len(sizes) == 1 else f"{len(sizes)} sizes"
        summary = super().summary() | {"folder": str(self.dir_path), "files": found, "resize": self.resize}
        if self.mirror:
            summary["mirrored"] = f"{len(self._files)} pictures, and each one's mirror image"
        if self._file_labels is not None and self.label_space is not None and self.labels is not None:
            summary["labels"] = self._file_labels.describe(self.label_space, self.labels, "pictures")
        if self._skipped:
            summary["skipped"] = f"{len(self._skipped)} unreadable: " + ", ".join(
                f"{name} ({reason})" for name, reason in self._skipped.items()
            )
        return summary | self._tree.described(self._others, "images")

    def fingerprint(self) -> str:
        """Digest of the parameters, of each file's name, length and last bytes, and of the labels."""
        digest = hashlib.sha256(repr((self.shape, self.imread_mode, self.resize, self.background)).encode())
        for file in self._files:
            digest.update(f"\n{self._name(file)} {file.stat().st_size} ".encode() + tail(file))
        if self.mirror:
            digest.update(b"\nmirrored")
        if self._file_labels is not None:
            digest.update(b"\n" + json.dumps(self._file_labels.identity()).encode())
        return digest.hexdigest()[:16]

    def _name(self, file: Path) -> str:
        """A file's name in the folder."""
        return file.relative_to(self.dir_path).as_posix()

    def _scan(self, max_images: int | None) -> None:
        """Find the readable files and their sizes from their headers; nothing is decoded."""
        if not self.dir_path.is_dir():
            raise UserError(f"no folder {self.dir_path}")
        if max_images is not None and max_images < 1:
            raise UserError(f"max_images is {max_images}; it must be at least 1")
        self._files: list[Path] = []
        self._sizes: list[tuple[int, int]] = []
        self._skipped: dict[str, str] = {}
        self._tree = walk(self.dir_path)
        names, self._others = self._tree.split(SUFFIXES)
        for file in (self.dir_path / name for name in names):
            if len(self._files) == max_images:
                break
            try:
                size = header_size(file)
            except Exception as error:  # Pillow's readers raise many kinds of error on a broken file
                self._skipped[self._name(file)] = reason(error)
                continue
            self._files.append(file)
            self._sizes.append(size)
        if not self._files:
            broken = f": {', '.join(list(self._skipped)[:3])} cannot be read" if self._skipped else ""
            raise UserError(f"no readable picture in {self.dir_path}{broken}; endings: {' '.join(sorted(SUFFIXES))}")

    def _full_size(self, size: int | tuple[int, int] | None) -> tuple[int, int]:
        """[H, W] of the pictures at full depth; checks the files against it where they are not resized."""
        wanted = (size, size) if isinstance(size, int) else size
        if self.resize != "none":
            if wanted is None:
                raise UserError(f"resize '{self.resize}' needs a size, e.g. 64, or a height and a width")
            return wanted[0], wanted[1]
        first = tuple(wanted) if wanted else self._sizes[0]
        for file, found in zip(self._files, self._sizes, strict=True):
            if found != first:
                other = "size is" if wanted else f"{self._files[0]} is"
                raise UserError(
                    f"{file} is {found[0]}x{found[1]}, {other} {first[0]}x{first[1]}; with resize 'none' all pictures"
                    f" have one size; give a size and a policy: {POLICIES}"
                )
        return first[0], first[1]

    def _decode(self, file: Path) -> NDArray[np.uint8]:
        """Read a file, uint8 [C, H, W].

        Raises:
            UserError: if it cannot be decoded, though its header and its end are right.
        """
        from PIL import Image

        try:
            with Image.open(file) as image:
                return self._fitting.pixels(image)
        except Exception as error:  # see _scan
            raise UserError(f"cannot decode {file}: {reason(error)}; remove it or replace it") from error

    def _preload(self) -> None:
        sizes = [self.growth.shape_at(depth) for depth in range(self.growth.max_depth + 1)]
        levels = [np.empty((len(self._files), *size), np.uint8) for size in sizes]
        for index in range(len(self._files)):
            for level, picture in zip(levels, self.pyramid([index]), strict=True):
                level[index] = picture[0]
        self._levels = levels
