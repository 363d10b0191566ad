"""Label maps for tests: random ones, and a folder of images and maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from pggan_framework.labels.maps import Map, MapResize, MapSpace, default_classes

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]


def random_maps(count: int, height: int = 16, width: int = 16, classes: int = 3) -> Map:
    return np.random.default_rng(count).integers(0, classes, (count, height, width), dtype=np.uint8)


def space_of(maps: Map, classes: int = 3, resize: MapResize = "nearest") -> MapSpace:
    size = (int(maps.shape[1]), int(maps.shape[2]))
    return MapSpace.of(default_classes(classes, COLOURS), maps.__getitem__, len(maps), size, resize)


def write_pairs(root: Path, maps: Map, coloured: bool = False) -> tuple[Path, Path]:
    """``images/0.png`` in which a class is a grey level, and ``labels/0.png``; in a palette or in colours."""
    images, labels = root / "images", root / "labels"
    for folder in (images, labels):
        folder.mkdir(parents=True)
    for index, one in enumerate(maps):
        number = str(index).zfill(len(str(len(maps) - 1)))
        Image.fromarray(np.repeat((one * 100)[..., None], 3, 2)).save(images / f"{number}.png")
        drawn = Image.fromarray(np.array(COLOURS, np.uint8)[one]) if coloured else Image.fromarray(one)
        if not coloured:
            drawn.putpalette([level for colour in COLOURS for level in colour])
        drawn.save(labels / f"{number}.png")
    return images, labels
