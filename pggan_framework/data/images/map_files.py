"""Files of label maps: class indices in grey or palette images, or colours that represent classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pggan_framework.data.images.files import SUFFIXES, open_image, reason, upright
from pggan_framework.data.walk import walk
from pggan_framework.errors import UserError
from pggan_framework.labels.maps import MOST_CLASSES, Colour, Map

if TYPE_CHECKING:
    from PIL.Image import Image

Fit = Callable[["Image"], "Image"]
"""Resizes a map, a grey image of class indices, to the requested size."""


class MapReader:
    """Reads maps as class indices.

    Args:
        fit: function that resizes a map.
        colours: colours of the classes; None if the files contain class indices.
        classes: number of classes; None if unknown, and then any index is allowed.
        owner: name of the dataset whose flags error messages mention.

    Raises:
        UserError: if the colours or the number of classes are invalid.
    """

    def __init__(self, fit: Fit, colours: Sequence[Colour] | None, classes: int | None, owner: str) -> None:
        self.fit, self.colours, self.classes, self.owner = fit, colours, classes, owner
        if classes is not None and not 2 <= classes <= MOST_CLASSES:
            raise UserError(f"{owner}.classes is {classes}; allowed: 2 to {MOST_CLASSES}")
        if colours is None:
            return
        if len(set(colours)) != len(colours) or not 2 <= len(colours) <= MOST_CLASSES:
            raise UserError(
                f"{owner}.label_colours has {len(colours)} colours, {len(set(colours))} different; allowed: 2 to"
                f" {MOST_CLASSES}, each once"
            )
        if classes not in (None, len(colours)):
            raise UserError(f"{owner}.classes is {classes}, but label_colours names {len(colours)}; leave classes out")
        codes = np.array([_code(np.array(one)) for one in colours])
        self._order = np.argsort(codes)
        self._codes = codes[self._order]

    def read(self, file: Path) -> Map:
        """Read the map [H, W] in a file, resized.

        Raises:
            UserError: if the file cannot be decoded, or has a colour or index that is not a class.
        """
        from PIL import Image

        numbers = self.numbers(file)
        return np.asarray(self.fit(Image.fromarray(numbers)))

    def numbers(self, file: Path) -> Map:
        """Read the map [H, W] in a file without resizing it; raises the errors of `read`."""
        try:
            with open_image(file) as opened:
                opened.load()
                image = upright(opened)
                if self.colours is not None:
                    image = image.convert("RGB")
        except Exception as error:  # Pillow raises many exception types on a broken file
            raise UserError(f"cannot decode the label map {file}: {reason(error)}") from error
        if self.colours is not None:
            return self._by_colour(np.asarray(image), file)
        if image.mode not in ("P", "L", "1") and not image.mode.startswith("I"):
            raise UserError(
                f"the label map {file} is in colours ({image.mode}); name those of the classes with"
                f" {self.owner}.label_colours, or give maps of class numbers, grey or with a palette"
            )
        numbers = np.asarray(image).astype(np.int64)
        most = MOST_CLASSES if self.classes is None else self.classes
        if numbers.max() >= most or numbers.min() < 0:
            raise UserError(
                f"the label map {file} has class {numbers.max() if numbers.min() >= 0 else numbers.min()};"
                f" allowed: 0 to {most - 1}"
            )
        return numbers.astype(np.uint8)

    def _by_colour(self, pixels: NDArray[np.uint8], file: Path) -> Map:
        codes = _code(pixels)
        places = np.searchsorted(self._codes, codes).clip(max=len(self._codes) - 1)
        unknown = self._codes[places] != codes
        if unknown.any():
            row, column = np.argwhere(unknown)[0]
            red, green, blue = pixels[row, column].tolist()
            raise UserError(
                f"the label map {file} has the colour #{red:02x}{green:02x}{blue:02x} at row {row}, column {column}"
                f" ({unknown.mean():.1%} of its pixels are of no class's colour); allowed: {self._allowed()}"
            )
        numbers: Map = self._order[places].astype(np.uint8)
        return numbers

    def _allowed(self) -> str:
        shown = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in self.colours or ()]
        return ", ".join(shown if len(shown) <= 12 else (*shown[:5], "...", shown[-1]))


def _code(pixels: NDArray[np.integer]) -> NDArray[np.int64]:
    """Convert colours [..., 3] to one integer each."""
    red, green, blue = np.moveaxis(pixels.astype(np.int64), -1, 0)
    codes: NDArray[np.int64] = red << 16 | green << 8 | blue
    return codes


def scan_maps(files: Sequence[Path], classes: int | None, reader: MapReader) -> tuple[int, list[Colour] | None]:
    """The number of classes in maps of class indices, and the palette's colours if the first file has a palette.

    Raises:
        UserError: if there is only one class, or a file cannot be read.
    """
    count = classes or 1 + max(int(reader.numbers(file).max()) for file in files)
    if count < 2:
        raise UserError(f"the label maps, {files[0]} and others, have class 0 only; allowed: two classes or more")
    return count, palette(files[0])


def palette(file: Path) -> list[Colour] | None:
    """The colours of a file with a palette; None for other files."""
    with open_image(file) as image:
        values = image.getpalette("RGB") if image.mode == "P" else None
    return None if values is None else list(zip(values[0::3], values[1::3], values[2::3], strict=True))


def read_maps(path: Path, size: tuple[int, int], colours: Sequence[Colour], owner: str) -> Map:
    """Read the maps [M, H, W] in a file, or in a folder sorted by name, resized to `size` [H, W] by nearest neighbour.

    Colour images are read with the `colours` of the classes; all other files contain class indices.

    Raises:
        UserError: if there are no maps, or a map cannot be read or has an unknown class.
    """
    from PIL import Image

    files = [path] if path.is_file() else []
    if path.is_dir():
        files = [path / name for name in walk(path).split(SUFFIXES)[0] if "/" not in name]
    if not files:
        raise UserError(f"{owner} {path} is not an image or a folder of images")

    def fit(image: Image.Image) -> Image.Image:
        return image.resize((size[1], size[0]), Image.Resampling.NEAREST)

    by_number = MapReader(fit, None, len(colours), owner)
    maps = []
    for file in files:
        try:
            with open_image(file) as image:
                coloured = image.mode not in ("P", "L", "1") and not image.mode.startswith("I")
        except (OSError, ValueError) as error:
            raise UserError(f"{owner}: {file} cannot be read: {reason(error)}") from error
        maps.append((MapReader(fit, colours, None, owner) if coloured else by_number).read(file))
    return np.stack(maps)
