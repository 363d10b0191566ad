"""Pairs of an image and its label map, in two folders."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pggan_framework.storage.names import name_bytes
from pggan_framework.data.datasets.images import DefaultImageFolderDataset
from pggan_framework.data.images.map_files import MapReader, scan_maps
from pggan_framework.data.images.files import SUFFIXES, colour, header_size, reason
from pggan_framework.data.manifest import hash_file
from pggan_framework.data.walk import walk
from pggan_framework.errors import UserError, plural
from pggan_framework.labels.maps import Map, MapResize, MapSpace, default_classes
from pggan_framework.registry import register

if TYPE_CHECKING:
    from PIL.Image import Image


@register("dataset", aliases=("Pix2pixDataset",))
class LabelMapDataset(DefaultImageFolderDataset):
    """Images in one folder, and a label map for each image in another folder, under the same name.

    A map is a palette or grey image whose values are class indices, or a colour image in which each class has a given
    colour. An image and its map have the same size and are resized in the same way; resizing a map does not blend
    classes, and ``pad`` fills its border with class 0.

    Args:
        image_dir: folder of the images, with subfolders.
        label_dir: folder of the maps, with the same layout; file types may differ.
        label_colours: colours of the classes, starting with class 0: names or #rrggbb.
        label_names: names of the classes, starting with class 0; if not given, "class 0", "class 1" ...
        classes: number of classes; if not given, the number of colours, or the highest index in all maps plus one.
        map_resize: method to reduce maps: the class of each box's first pixel (``nearest``, as in SPADE), or the
            fraction of each class (``shares``).
        mirror: add each pair's horizontal mirror image, after the last pair.
        preload: keep all images and maps in memory.
        max_images: number of images to use, starting with the first.
        options: further parameters of `DefaultImageFolderDataset`.

    Raises:
        UserError: if a folder is missing, an image or a map has no partner or a partner of another size, or a map has a
            colour or a number that is not a class.
    """

    def __init__(
        self,
        image_dir: Path,
        label_dir: Path,
        label_colours: list[str] | None = None,
        label_names: list[str] | None = None,
        classes: int | None = None,
        map_resize: MapResize = "nearest",
        mirror: bool = False,
        preload: bool = False,
        max_images: int | None = None,
        **options: Any,
    ) -> None:
        self.label_dir = Path(label_dir)
        super().__init__(
            dir_path=image_dir,
            mirror=mirror,
            preload=preload,
            max_images=max_images,
            labels=None,
            labels_csv=None,
            labels_pattern=None,
            labels_json=None,
            continuous_labels=None,
            **options,
        )
        if not self.label_dir.is_dir():
            raise UserError(f"no folder {self.label_dir}, LabelMapDataset.label_dir")
        self._map_files = self._partners(whole=max_images is None)
        colours = None if label_colours is None else [colour(name) for name in label_colours]
        self._reader = MapReader(self._fit_map, colours, classes, "LabelMapDataset")
        count, palette = (len(colours), None) if colours else scan_maps(self._map_files, classes, self._reader)
        if label_names is not None and len(label_names) != count:
            raise UserError(f"LabelMapDataset.label_names has {plural(len(label_names), 'name')}; there are {count} classes")
        self._reader.classes = count
        self._maps: Map | None = None
        self.label_space = MapSpace.of(
            default_classes(count, colours or palette, label_names or ()),
            self.label_map,
            len(self),
            (self.shape[1], self.shape[2]),
            map_resize,
        )
        self.labels = np.arange(len(self), dtype=np.int64)[:, None]
        if preload:
            self._maps = np.stack([self._reader.read(file) for file in self._map_files])

    def label_map(self, index: int) -> Map:
        """The map [H, W] of one image, 0 <= index < len.

        Raises:
            UserError: if the file of the map cannot be decoded, or has an invalid class.
        """
        mirrored, number = divmod(self.replaced.get(index, (index, ""))[0], len(self._map_files))
        found = self._reader.read(self._map_files[number]) if self._maps is None else self._maps[number]
        return np.ascontiguousarray(found[:, ::-1]) if mirrored else found

    def summary(self) -> dict[str, str]:
        """The summary of the images, with the classes."""
        assert isinstance(self.label_space, MapSpace)
        names = ", ".join(entry.name for entry in self.label_space.classes)
        return super().summary() | {
            "label maps": f"{len(self.label_space.classes)} classes ({names}) in {self.label_dir}"
        }

    def fingerprint(self) -> str:
        """Digest of the files and parameters of the images and maps."""
        assert isinstance(self.label_space, MapSpace)
        given = (self._reader.colours, len(self.label_space.classes), self.label_space.resize)
        digest = hashlib.sha256(f"{super().fingerprint()} {given}".encode())
        for file in self._map_files:
            digest.update(name_bytes(f"\n{file.relative_to(self.label_dir).as_posix()} {hash_file(file)}"))
        return digest.hexdigest()[:16]

    def _partners(self, whole: bool) -> list[Path]:
        """The map of every image, in order; if `whole`, all images are used and every map must have an image."""
        maps, pictures = _by_stem(self.label_dir), _by_stem(self.dir_path)
        found: list[Path] = []
        for index in self.plan.chosen:
            file, size = self.dir_path / self.plan.source.name(index), self.plan.headers[index].size
            name = _stem(file, self.dir_path)
            if name not in maps:
                raise UserError(f"{file} has no label map: there is no image {name}.* in {self.label_dir}")
            partner = maps[name]
            try:
                other = header_size(partner)
            except Exception as error:  # Pillow raises many exception types on a broken file
                raise UserError(f"the label map {partner} cannot be read: {reason(error)}") from error
            if other != size:
                raise UserError(
                    f"{partner} is {other[0]}x{other[1]}, but its image {file.name} is {size[0]}x{size[1]};"
                    " allowed: the same size"
                )
            found.append(partner)
        surplus = sorted(maps.keys() - pictures.keys()) if whole else []
        if surplus:
            more = f", nor have {len(surplus) - 1} more" if len(surplus) > 1 else ""
            raise UserError(f"the label map {maps[surplus[0]]} has no image {surplus[0]}.* in {self.dir_path}{more}")
        return found

    def _fit_map(self, image: Image) -> Image:
        """Resize to full size by the policy of the images, without blending classes."""
        from PIL import Image as pillow
        from PIL import ImageOps

        size, nearest = (self.shape[2], self.shape[1]), pillow.Resampling.NEAREST
        policy = self.plan.options.resize
        if policy == "stretch":
            return image.resize(size, nearest)
        if policy == "crop":
            return ImageOps.fit(image, size, nearest)
        if policy == "pad":
            small = ImageOps.contain(image, size, nearest)
            image = pillow.new("L", size)
            image.paste(small, ((size[0] - small.width) // 2, (size[1] - small.height) // 2))
        return image


def _stem(file: Path, folder: Path) -> str:
    """The name of a file relative to its folder, without the extension."""
    return file.relative_to(folder).with_suffix("").as_posix()


def _by_stem(folder: Path) -> dict[str, Path]:
    """The images in a folder and its subfolders by name without extension.

    Raises:
        UserError: if two differ only in their extensions.
    """
    found: dict[str, Path] = {}
    for file in walk(folder).paths(SUFFIXES)[0]:
        name = _stem(file, folder)
        if name in found:
            raise UserError(f"{found[name]} and {file.name} have one name; allowed: one file of each name")
        found[name] = file
    return found
