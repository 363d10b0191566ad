"""Label maps, which condition images on a class for every pixel."""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from colorsys import hsv_to_rgb
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import Attribute, Labels, LabelSpace

Map = NDArray[np.uint8]
"""A label map [H, W]: the class index of every pixel."""
MapResize = Literal["nearest", "shares"]
"""The method that reduces a map: the class of each box's first pixel, or the fraction of the box in each class."""
Colour = tuple[int, int, int]

MAP = "map"
"""Name of the attribute whose values are the indices of the maps."""
MOST_CLASSES = 256
STORED = 64
"""Largest number of maps that a checkpoint stores."""
MOST_STORED = 1 << 28
"""Total number of pixels in all maps above which a file counts as damaged."""
PAPER = (255, 255, 255)


@dataclass(frozen=True)
class MapClass:
    """One class of the pixels: its name, and its display colour (red, green, blue; 0 to 255)."""

    name: str
    colour: Colour


@dataclass(frozen=True)
class MapSpace(LabelSpace):
    """The label maps of a dataset's images; a label [1] is the index of a map.

    Networks receive a map as [K, h, w]: for each of K classes, an image that is 1 at the pixels of this class and 0
    elsewhere.

    Args:
        classes: K classes in the order of their indices.
        size: [H, W] of every map.
        read: function that returns a map [H, W], given its index.
        resize: method that reduces maps; with both methods, reducing in steps equals reducing at once.
    """

    classes: tuple[MapClass, ...] = ()
    size: tuple[int, int] = (1, 1)
    read: Callable[[int], Map] = field(default=lambda number: np.zeros((1, 1), np.uint8), compare=False, repr=False)
    resize: MapResize = "nearest"

    @classmethod
    def of(
        cls,
        classes: Sequence[MapClass],
        read: Callable[[int], Map],
        count: int,
        size: tuple[int, int],
        resize: MapResize = "nearest",
    ) -> MapSpace:
        """The space of `count` maps [H, W] that `read` returns by index."""
        numbers = Attribute(MAP, tuple(map(str, range(count))))
        return cls(attributes=(numbers,), classes=tuple(classes), size=size, read=read, resize=resize)

    def __deepcopy__(self, memo: object) -> MapSpace:
        """Return the space itself: networks are copied, maps are not."""
        return self

    def __len__(self) -> int:
        return len(self.attributes[0].values)

    def condition_shape(self, count: int, size: tuple[int, int]) -> tuple[int, ...]:
        """The shape of the network input for `count` labels of images [h, w]: [N, K, h, w]."""
        return count, len(self.classes), *size

    def condition(self, labels: Labels, size: tuple[int, int]) -> NDArray[np.float32]:
        """The maps of labels [N, 1] as [N, K, h, w].

        Args:
            labels: labels, [N, 1].
            size: [h, w] of the result; divides the size of the maps.

        Raises:
            ValueError: if a map does not exist, or the size does not divide the size of the maps.
        """
        numbers = np.asarray(labels)
        if numbers.ndim != 2 or numbers.shape[1] != 1 or np.any((numbers < 0) | (numbers >= len(self))):
            raise ValueError(f"labels of shape {numbers.shape} are not [N, 1] of numbers below {len(self)}")
        if self.size[0] % size[0] or self.size[1] % size[1]:
            raise ValueError(f"maps of {self.size} cannot be made {size}")
        return one_hot_maps(self.maps(labels), len(self.classes), size, self.resize)

    def maps(self, labels: Labels) -> Map:
        """The maps [N, H, W] of labels [N, 1] as class indices."""
        return np.stack([self.read(int(number)) for number in np.asarray(labels)[:, 0]])

    def paint(self, labels: Labels) -> NDArray[np.uint8]:
        """The maps of labels [N, 1] in the colours of their classes, [N, 3, H, W]."""
        palette = np.array([entry.colour for entry in self.classes], dtype=np.uint8)
        return np.moveaxis(palette[self.maps(labels)], -1, 1)

    def with_maps(self, maps: Map) -> MapSpace:
        """The space with the same classes and other maps [M, H, W], which stay in memory."""
        size = (int(maps.shape[1]), int(maps.shape[2]))
        return MapSpace.of(self.classes, maps.__getitem__, len(maps), size, self.resize)

    @cached_property
    def examples(self) -> MapSpace:
        """The space with at most `STORED` of its maps, evenly spaced from the first to the last."""
        chosen = np.unique(np.linspace(0, len(self) - 1, min(STORED, len(self))).round().astype(np.int64))
        return self.with_maps(self.maps(chosen[:, None]))

    def state_dict(self) -> Any:
        """The state as plain values including all maps, compressed; `space_from_state` restores it."""
        packed = zlib.compress(self.maps(np.arange(len(self))[:, None]).tobytes(), 6)
        return {
            "classes": [{"name": entry.name, "colour": list(entry.colour)} for entry in self.classes],
            "shape": [len(self), *self.size],
            "resize": self.resize,
            "maps": b64encode(packed).decode("ascii"),
        }


def space_from_state(state: Any) -> LabelSpace:
    """Restore the space from the state of `LabelSpace.state_dict` or `MapSpace.state_dict`."""
    if not isinstance(state, Mapping) or "maps" not in state:
        return LabelSpace.from_state(state)  # type: ignore[arg-type]  # a list, then
    classes = [MapClass(str(entry["name"]), _colour(entry["colour"])) for entry in state["classes"]]
    count = prod(state["shape"])
    if not 0 < count <= MOST_STORED:
        raise UserError(f"maps of shape {tuple(state['shape'])} are not stored label maps")
    # Decompress no more than the maps need, since an untrusted megabyte can expand to a gigabyte.
    try:
        packed = zlib.decompressobj().decompress(b64decode(state["maps"]), count + 1)
    except zlib.error as error:
        raise UserError(f"the stored label maps are damaged: {error}") from error
    maps = np.frombuffer(packed, np.uint8).reshape(state["shape"])
    space = MapSpace.of(classes, maps.__getitem__, 1, (1, 1), state["resize"])
    return space.with_maps(maps)


def one_hot_maps(maps: Map, classes: int, size: tuple[int, int], resize: MapResize = "nearest") -> NDArray[np.float32]:
    """Convert maps [N, H, W] to [N, K, h, w]: the fraction of each box that a class covers, 0 or 1 at full size.

    Args:
        maps: class indices below K.
        classes: number of classes, K.
        size: [h, w] of the result; divides [H, W].
        resize: method that reduces maps; see `MapResize`.
    """
    down, across = maps.shape[1] // size[0], maps.shape[2] // size[1]
    if resize == "nearest" or (down, across) == (1, 1):
        small = maps[:, None, ::down, ::across]
        found: NDArray[np.float32] = (small == np.arange(classes)[:, None, None]).astype(np.float32)
        return found
    # Count the classes in each pixel's box, without an intermediate [N, K, H, W].
    boxes = np.arange(maps.shape[1])[:, None] // down * size[1] + np.arange(maps.shape[2]) // across
    places = size[0] * size[1]
    counts = [np.bincount((one.astype(np.int64) * places + boxes).ravel(), minlength=classes * places) for one in maps]
    shares: NDArray[np.float32] = np.stack(counts).reshape(-1, classes, *size).astype(np.float32) / (down * across)
    return shares


def default_classes(count: int, colours: Sequence[Colour] | None = None, names: Sequence[str] = ()) -> list[MapClass]:
    """Return `count` classes, by default with names such as ``class 3`` and distinguishable colours."""
    shown = list(colours or ())[:count]
    shown += [_distinct(index) for index in range(len(shown), count)]
    return [
        MapClass(names[index] if index < len(names) else f"class {index}", colour) for index, colour in enumerate(shown)
    ]


def _distinct(index: int) -> Colour:
    """Return a colour: golden-angle hues and three brightnesses; class 0, usually the background, is white."""
    if index == 0:
        return PAPER
    return _colour([round(255 * part) for part in hsv_to_rgb(index * 0.618034 % 1, 0.75, 1 - 0.25 * (index % 3))])


def _colour(parts: Sequence[int]) -> Colour:
    red, green, blue = (int(part) for part in parts)
    return red, green, blue
