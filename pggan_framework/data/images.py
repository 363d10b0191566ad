"""A folder of pictures of any kind."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from pggan_framework.data.base import DepthDataset, Pixels, box_means
from pggan_framework.errors import UserError
from pggan_framework.growth import Growth
from pggan_framework.registry import register

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset(
    [".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"]
)
"""Files with other endings are not looked at."""

POLICIES = "stretch, crop (scale the shorter side, cut the middle), pad (fit, fill with the background)"

# What undoes each EXIF orientation: names of PIL.Image.Transpose.
UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}

# How a file of each kind ends when it is whole.
ENDINGS = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9", "GIF": b";"}
TAIL = 64
"""Bytes at the end of a file that are looked at."""


@register("dataset")
class DefaultImageFolderDataset(DepthDataset):
    """Every picture in a folder and the folders below it, in order of their names.

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
        model_dataset_depth_offset: log2 of the shorter side of the pictures at depth 0.
        seed_shape: height and width of the pictures at depth 0, where the offset does not give them.
        range_out: value range the networks see.

    Raises:
        UserError: if the folder is missing or has no readable picture, or the sizes do not fit.
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
        model_dataset_depth_offset: int = 2,
        seed_shape: tuple[int, int] | None = None,
        range_out: tuple[float, float] = (-1, 1),
    ) -> None:
        self.dir_path = Path(dir_path)
        self.imread_mode = imread_mode
        self.resize = resize
        self.background = _colour(background)
        self._scan(max_images)
        height, width = self._full_size(size)
        channels = {"RGB": 3, "L": 1, "RGBA": 4}[imread_mode]
        try:
            Growth.of((channels, height, width), seed_shape, model_dataset_depth_offset)
        except UserError as error:
            if resize != "none":
                raise
            raise UserError(
                f"{self._files[0]} is {height}x{width}: {error}; resize policies, with a size: {POLICIES}"
            ) from error
        super().__init__((channels, height, width), model_dataset_depth_offset, seed_shape, (0, 255), range_out)
        self._levels: list[NDArray[np.uint8]] | None = None
        if preload:
            self._preload()

    def __len__(self) -> int:
        return len(self._files)

    def image(self, index: int) -> Pixels:
        """One picture at full depth, uint8 [C, H, W]."""
        if self._levels is not None:
            picture: Pixels = self._levels[-1][index]
            return picture
        return self._decode(self._files[index])

    def images(self, indices: Sequence[int], depth: int) -> Pixels:
        """A batch, uint8 [N, C, h, w], at `depth`."""
        if self._levels is not None:
            return self._levels[depth][list(indices)]
        return super().images(indices, depth)

    def pyramid(self, indices: Sequence[int]) -> list[Pixels]:
        """Batches of every depth, each picture read once."""
        return box_means([self.image(index) for index in indices], self.growth)

    def summary(self) -> dict[str, str]:
        """How many pictures of which shape, how they were resized, and which files were skipped and why."""
        sizes = sorted(set(self._sizes))
        found = "x".join(map(str, sizes[0])) if len(sizes) == 1 else f"{len(sizes)} sizes"
        summary = super().summary() | {"folder": str(self.dir_path), "files": found, "resize": self.resize}
        if self._skipped:
            summary["skipped"] = f"{len(self._skipped)} unreadable: " + ", ".join(
                f"{name} ({reason})" for name, reason in self._skipped.items()
            )
        return summary

    def fingerprint(self) -> str:
        """Digest of the parameters and of each file's name, length and last bytes."""
        digest = hashlib.sha256(repr((self.shape, self.imread_mode, self.resize, self.background)).encode())
        for file in self._files:
            name = file.relative_to(self.dir_path).as_posix()
            digest.update(f"\n{name} {file.stat().st_size} ".encode() + _tail(file))
        return digest.hexdigest()[:16]

    def _scan(self, max_images: int | None) -> None:
        """Find the readable files and their sizes from their headers; nothing is decoded."""
        if not self.dir_path.is_dir():
            raise UserError(f"no folder {self.dir_path}")
        if max_images is not None and max_images < 1:
            raise UserError(f"max_images is {max_images}; it must be at least 1")
        self._files: list[Path] = []
        self._sizes: list[tuple[int, int]] = []
        self._skipped: dict[str, str] = {}
        candidates = [f for f in self.dir_path.rglob("*") if f.suffix.lower() in SUFFIXES and f.is_file()]
        for file in sorted(candidates, key=lambda f: f.relative_to(self.dir_path).as_posix()):
            if len(self._files) == max_images:
                break
            try:
                size = header_size(file)
            except Exception as error:  # Pillow's readers raise many kinds of error on a broken file
                self._skipped[file.relative_to(self.dir_path).as_posix()] = _reason(error)
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
                image.load()
                picture = self._fit(self._flatten(upright(image)))
        except Exception as error:  # see _scan
            raise UserError(f"cannot decode {file}: {_reason(error)}; remove it or replace it") from error
        pixels = np.asarray(picture)
        planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        return np.ascontiguousarray(planes)

    def _flatten(self, image: Image) -> Image:
        """To 8 bit: ``RGB`` or ``L`` without transparency, or ``RGBa`` (premultiplied) for ``RGBA``."""
        from PIL import Image as pillow

        if image.mode.startswith("I"):  # 16-bit grey
            image = pillow.fromarray(
                np.rint(np.asarray(image).astype(np.float32).clip(0, 65535) / 257).astype(np.uint8)
            )
        if self.imread_mode == "RGBA":
            return image.convert("RGBA").convert("RGBa")
        if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
            paper = pillow.new("RGBA", image.size, (*self.background, 255))
            image = pillow.alpha_composite(paper, image.convert("RGBA")).convert("RGB")
        return image.convert(self.imread_mode)

    def _fit(self, image: Image) -> Image:
        """To the full size, by the policy."""
        from PIL import Image as pillow
        from PIL import ImageOps

        size = (self.shape[2], self.shape[1])
        if self.resize == "stretch":
            image = image.resize(size, pillow.Resampling.LANCZOS)
        elif self.resize == "crop":
            image = ImageOps.fit(image, size, pillow.Resampling.LANCZOS)
        elif self.resize == "pad":
            small = ImageOps.contain(image, size, pillow.Resampling.LANCZOS)
            paper = pillow.new("RGB", size, self.background).convert(self.imread_mode)
            image = pillow.new("RGBa", size) if image.mode == "RGBa" else paper
            image.paste(small, ((size[0] - small.width) // 2, (size[1] - small.height) // 2))
        return image.convert("RGBA") if image.mode == "RGBa" else image

    def _preload(self) -> None:
        sizes = [self.growth.shape_at(depth) for depth in range(self.growth.max_depth + 1)]
        levels = [np.empty((len(self), *size), np.uint8) for size in sizes]
        for index in range(len(self)):
            for level, picture in zip(levels, self.pyramid([index]), strict=True):
                level[index] = picture[0]
        self._levels = levels


def header_size(file: Path) -> tuple[int, int]:
    """[H, W] of an upright picture, from its header; only a file that may be truncated is decoded.

    Raises:
        OSError: if it is no picture or is truncated.
        ValueError: if it is a kind of picture without a defined range.
    """
    from PIL import Image

    with Image.open(file) as image:
        if image.mode == "F":
            raise ValueError("32-bit float")
        width, height = image.size
        # A TIFF's size is already that of the upright picture.
        turned = image.format != "TIFF" and orientation(image) >= 5
        if not _looks_whole(file, image.format or ""):
            image.load()
    return (width, height) if turned else (height, width)


def orientation(image: Image) -> int:
    """EXIF orientation, 1 to 8; 1 is upright."""
    # Pillow would decode a PNG whose header has none, to look behind the pixels.
    if image.format == "PNG" and not {"exif", "Raw profile type exif"} & image.info.keys():
        return 1
    return int(image.getexif().get(0x0112, 1))


def upright(image: Image) -> Image:
    """The picture as its EXIF orientation says it should be looked at."""
    from PIL import Image as pillow

    # Pillow turns a TIFF itself when it is loaded.
    name = UPRIGHT.get(orientation(image)) if image.format != "TIFF" else None
    return image.transpose(pillow.Transpose[name]) if name else image


def _looks_whole(file: Path, kind: str) -> bool:
    if kind == "WEBP":
        with file.open("rb") as stream:
            return int.from_bytes(stream.read(8)[4:], "little") + 8 <= file.stat().st_size
    return kind in ENDINGS and ENDINGS[kind] in _tail(file)


def _tail(file: Path) -> bytes:
    with file.open("rb") as stream:
        stream.seek(0, 2)
        stream.seek(max(0, stream.tell() - TAIL))
        return stream.read()


def _colour(name: str) -> tuple[int, int, int]:
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(name)[:3]
    except ValueError as error:
        raise UserError(f"unknown background colour '{name}'; allowed: a name such as white, or #rrggbb") from error
    return red, green, blue


def _reason(error: Exception) -> str:
    """Why a file cannot be read, in a few words, without its path."""
    text = str(error) or type(error).__name__
    return "no picture" if "cannot identify" in text else text
