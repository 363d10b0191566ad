"""A folder of images of any format."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pggan_framework.data.base import DepthDataset, Pixels, box_means
from pggan_framework.data.images.files import MOST_PIXELS, reason
from pggan_framework.data.images.plan import BadFiles, Options, check_bad, fingerprint_of, make_plan
from pggan_framework.data.labels.labelled import LabelledFiles
from pggan_framework.data.sources.base import LabelChoice
from pggan_framework.data.sources.folder import FolderSource
from pggan_framework.data.sources.stylegan import StyleGANFolder, is_stylegan_folder
from pggan_framework.data.walk import named
from pggan_framework.errors import UserError
from pggan_framework.registry import register


@register("dataset")
class DefaultImageFolderDataset(LabelledFiles, DepthDataset):
    r"""Every image in a folder and its subfolders, including links, sorted by name.

    The conversion of every image format is defined: integer grey images of more than 8 bit are scaled to 8 bit, images
    with a colour profile are converted to sRGB, the EXIF orientation is applied, only the first frame of an animation
    is used, and transparent images are composited over `background` (``RGBA`` keeps the transparency). Colour and
    transparency are resized together, so edges have no fringes. Resizing uses a Lanczos filter and starts from the full
    image. The summary counts and names all files that are converted or skipped, and all guesses. The images equal those
    that `pggan prepare` writes with the same options.

    Args:
        dir_path: folder of the images.
        preload: keep all images in memory, at every depth, as uint8.
        imread_mode: channels of the images: RGB, L (grey) or RGBA.
        size: side, or height and width, at full depth; if not given, the common size of the images or, with resizing,
            the largest power of two that enlarges no image.
        resize: treatment of images of other sizes: ``none`` requires equal sizes; ``stretch`` scales both sides;
            ``crop`` scales the shorter side and cuts out the centre; ``pad`` fits the image and fills the rest.
        background: colour behind transparency and padding: name or #rrggbb.
        max_images: number of images to use, starting with the first.
        mirror: add each image's horizontal mirror image, after the last image.
        bad_files: treatment of unreadable files: ``skip`` omits them, and replaces a file that fails during decoding by
            the next one; ``error`` stops at the first.
        max_pixels: largest image in pixels; larger images count as unreadable.

    Raises:
        UserError: if the folder is missing or has no readable image, the sizes do not fit, or an image has no label.
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
        bad_files: BadFiles = "skip",
        max_pixels: int = MOST_PIXELS,
    ) -> None:
        owner = f"{type(self).__name__}."
        self.dir_path = Path(dir_path)
        if not self.dir_path.is_dir():
            raise UserError(f"{owner}dir_path: no folder {self.dir_path}")
        table, json_file = (None if path is None else Path(path) for path in (labels_csv, labels_json))
        choice = LabelChoice(labels, table, labels_pattern, json_file, continuous_labels, owner)
        kind = StyleGANFolder if is_stylegan_folder(self.dir_path) else FolderSource
        options = Options(
            size=(size, size) if isinstance(size, int) else size,
            resize=resize,
            colour=imread_mode,
            background=background,
            mirror=mirror,
            max_images=max_images,
            seed_shape=seed_shape,
            depth_offset=model_dataset_depth_offset,
            bad_files=bad_files,
            max_pixels=max_pixels,
        )
        source = kind(self.dir_path, choice)
        self.plan = make_plan(source, str(self.dir_path), options, 1, owner, fingerprint=False)
        if found := self.plan.labels(self.plan.chosen):
            self.label_space, of_files = found
            self.labels = np.concatenate([of_files, of_files]) if mirror else of_files
        super().__init__(self.plan.growth.shape, model_dataset_depth_offset, seed_shape, (0, 255), range_out)
        self._levels: list[NDArray[np.uint8]] | None = None
        if preload:
            self._preload()
        self._degenerate = self.plan.look(self._preloaded if preload else None)

    def __len__(self) -> int:
        return self.plan.total(len(self.plan.chosen))

    def image(self, index: int) -> Pixels:
        """One image at full depth, uint8 [C, H, W]; for a damaged file, the next image that can be decoded.

        Raises:
            UserError: if the file cannot be decoded, and `bad_files` is ``error`` or no other image can be decoded.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        mirrored, number = divmod(index, len(self.plan.chosen))
        picture: Pixels = self._decode(number) if self._levels is None else self._levels[-1][number]
        return np.ascontiguousarray(picture[..., ::-1]) if mirrored else picture

    def images(self, indices: Sequence[int], depth: int) -> Pixels:
        """A batch, uint8 [N, C, h, w], at `depth`."""
        if self._levels is None:
            return super().images(indices, depth)
        mirrored, numbers = np.divmod(np.asarray(indices, dtype=np.int64), len(self.plan.chosen))
        batch: Pixels = self._levels[depth][numbers]
        batch[mirrored > 0] = batch[mirrored > 0, ..., ::-1]
        return batch

    def pyramid(self, indices: Sequence[int]) -> list[Pixels]:
        """Batches at every depth; each image is read once."""
        return box_means([self.image(index) for index in indices], self.growth)

    def summary(self) -> dict[str, str]:
        """The number and shape of the images, the resize policy, and all changes, guesses and skipped files."""
        lines = self.plan.summary(self.plan.unreadable) | self._degenerate
        damaged = sorted({why for _, why in self.replaced.values()})
        return lines | ({"damaged": f"{named(damaged)}; the next one is used instead"} if damaged else {})

    def fingerprint(self) -> str:
        """Digest of the parameters, all bytes of the files, and the labels."""
        return fingerprint_of(self.plan)

    def _decode(self, number: int) -> NDArray[np.uint8]:
        """Decode one of the used files, uint8 [C, H, W]; see `image`."""
        count = len(self.plan.chosen)
        faults: dict[str, str] = {}
        first = self.replaced.get(number, (number, ""))[0]
        for place in chain(range(first, count), range(first)):
            try:
                picture = self.plan.pixels(self.plan.chosen[place])
            except MemoryError:
                raise
            except Exception as error:  # Pillow raises many exception types on a broken file
                name = self.plan.source.name(self.plan.chosen[place])
                faults[name] = reason(error)
                check_bad(self.plan.options, faults, self.plan.where, f"{type(self).__name__}.")
                continue
            if place != first:
                name, why = next(iter(faults.items()))
                for half in range(1 + self.plan.options.mirror):
                    self.replaced[number + half * count] = place + half * count, f"{name} ({why})"
            return picture
        raise UserError(f"no image in {self.dir_path} can be decoded: {named(faults)}")

    def _preloaded(self, number: int) -> NDArray[np.uint8]:
        """One of the used files, from memory."""
        assert self._levels is not None
        if number in self.replaced:
            raise ValueError("it is damaged")
        pixels: NDArray[np.uint8] = self._levels[-1][number]
        return pixels

    def _preload(self) -> None:
        count = len(self.plan.chosen)
        sizes = [self.growth.shape_at(depth) for depth in range(self.growth.max_depth + 1)]
        levels = [np.empty((count, *size), np.uint8) for size in sizes]
        for index in range(count):
            for level, picture in zip(levels, self.pyramid([index]), strict=True):
                level[index] = picture[0]
        self._levels = levels
