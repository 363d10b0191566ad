"""Search for the training examples nearest to generated samples: distances, and a grid to inspect."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pggan_framework.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from pggan_framework.cli.sides import Sides
    from pggan_framework.metrics.base import Features
    from pggan_framework.metrics.copying import Nearest, NearestSound
    from pggan_framework.metrics.report import Figure

SHOWN = 3
"""Number of training examples shown with each sample."""
RESOLUTION = 512
"""Approximate shorter side of the grid."""


@dataclass(frozen=True)
class Found:
    """The result of the search.

    Args:
        figures: ``neighbours_lite0.ratio`` and ``.copies`` of the samples, and of the second half of the reals.
        samples: indices of the samples, the nearest to a training example first, [N].
        places: indices of the training examples nearest to each sample, the nearest first, [N, k].
        ratios: distance to the nearest training example, relative to the usual distance among training examples, [N].
    """

    figures: list[Figure]
    samples: NDArray[np.int64]
    places: NDArray[np.int64]
    ratios: NDArray[np.float64]


def find(sides: Sides, metric: Nearest | NearestSound, fakes: Features, everything: Features) -> Found:
    """Find the training examples nearest to samples from features [n, F], given all real features [N, F].

    Distances are relative to the distances of the first half of the reals to the nearest other training example, which
    is not a part of the same recording.
    """
    from pggan_framework.metrics.copying import copying
    from pggan_framework.metrics.neighbours import nearest
    from pggan_framework.metrics.report import Figure

    places, distances = nearest(fakes, everything, min(SHOWN, len(everything) - 1))
    halves = sides.order[: sides.n], sides.order[sides.n :]
    groups = _groups(sides, len(everything))
    usual, others = (nearest(everything[half], everything, 1, groups[half], groups)[1][:, 0] for half in halves)
    values, floors = copying(distances[:, 0], usual), copying(others, usual)
    names = metric.named({"neighbours.ratio": values[0], "neighbours.copies": values[1]})
    order = np.argsort(distances[:, 0], kind="stable")
    return Found(
        [Figure(name, value, floor, sides.n) for (name, value), floor in zip(names.items(), floors, strict=True)],
        order,
        places[order],
        distances[order, 0] / (float(np.median(usual)) or 1.0),
    )


def _groups(sides: Sides, count: int) -> NDArray[np.int64]:
    """Return the number of each example's recording, or of the example if the data are not parts of recordings."""
    names = sides.dataset.recordings()
    groups = np.arange(count) if names is None else np.unique(names, return_inverse=True)[1].astype(np.int64)
    return groups if len(set(groups.tolist())) > 1 else np.arange(count)


def example_name(sides: Sides, place: int) -> str:
    """Return the name of a training example for messages."""
    names = sides.dataset.recordings()
    what = "clip" if sides.trained.codec is not None else "image"
    return f"training {what} {place}" + ("" if names is None else f", from {names[place]}")


def draw(sides: Sides, found: Found, count: int, path: Path) -> None:
    """Write a grid of the `count` samples nearest to training examples, each followed by those examples.

    Raises:
        UserError: if the file cannot be written.
    """
    from pggan_framework.postprocessors.picture import save_png

    rows = []
    for sample, places in zip(found.samples[:count].tolist(), found.places[:count].tolist(), strict=True):
        rows += [sides.generated(slice(sample, sample + 1)), sides.pictures(places)]
    images = np.concatenate(rows)
    each = 1 + found.places.shape[1]
    beside = max(1, round((len(images) / each / each) ** 0.5))
    try:
        save_png(_grid(sides, images, each * beside), path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error


def _grid(sides: Sides, images: NDArray[np.float32], columns: int) -> Image:
    """Arrange images [N, C, h, w] in [-1, 1] in rows; spectrograms are drawn as such."""
    from pggan_framework.postprocessors.picture import arrange, enlarge, picture_tiles, sheet, to_uint8
    from pggan_framework.postprocessors.spectrogram import spectrogram_sheet

    codec = sides.trained.codec
    if codec is not None and codec.row_hz() is not None:
        return spectrogram_sheet(images, codec, resolution=RESOLUTION, columns=columns)
    height, width = images.shape[2:]
    shape, factor = arrange(len(images), height, width, RESOLUTION, columns)
    return sheet(picture_tiles(enlarge(to_uint8(images), (factor, factor))), shape)
