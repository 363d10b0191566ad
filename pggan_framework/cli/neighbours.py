"""Search for the training images nearest to generated images: distances, and a grid to inspect."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pggan_framework.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pggan_framework.cli.sides import Sides
    from pggan_framework.metrics.base import Features
    from pggan_framework.metrics.deep import FeatureMetric
    from pggan_framework.metrics.report import Figure

SHOWN = 3
"""Number of training images shown with each generated one."""
RESOLUTION = 512
"""Approximate shorter side of the grid."""


@dataclass(frozen=True)
class Found:
    """The result of the search.

    Args:
        figures: ``neighbours_lite0.ratio`` and ``.copies`` of the samples, and of the second half of the reals.
        samples: indices of the generated images, the nearest to a training image first, [N].
        places: indices of the training images nearest to each generated image, the nearest first, [N, k].
        ratios: distance to the nearest training image, relative to the usual distance among training images, [N].
    """

    figures: list[Figure]
    samples: NDArray[np.int64]
    places: NDArray[np.int64]
    ratios: NDArray[np.float64]


def find(sides: Sides, metric: FeatureMetric, fakes: Features, everything: Features) -> Found:
    """Find the training images nearest to generated images from features [n, F], given all real features [N, F].

    Distances are relative to the distances of the first half of the reals to the nearest other training image.
    """
    from pggan_framework.metrics.copying import copying
    from pggan_framework.metrics.neighbours import nearest
    from pggan_framework.metrics.report import Figure

    places, distances = nearest(fakes, everything, min(SHOWN, len(everything) - 1))
    halves = sides.order[: sides.n], sides.order[sides.n :]
    usual, others = (nearest(everything[half], everything, own=half)[1][:, 0] for half in halves)
    values, floors = copying(distances[:, 0], usual), copying(others, usual)
    names = metric.named({"neighbours.ratio": values[0], "neighbours.copies": values[1]})
    order = np.argsort(distances[:, 0], kind="stable")
    return Found(
        [Figure(name, value, floor, sides.n) for (name, value), floor in zip(names.items(), floors, strict=True)],
        order,
        places[order],
        distances[order, 0] / (float(np.median(usual)) or 1.0),
    )


def draw(sides: Sides, found: Found, count: int, path: Path) -> None:
    """Write a grid of the `count` generated images nearest to training images, each followed by those training images.

    Raises:
        UserError: if the file cannot be written.
    """
    from pggan_framework.metrics.base import Pictures
    from pggan_framework.postprocessors.picture import arrange, enlarge, picture_tiles, save_png, sheet

    rows = []
    for sample, places in zip(found.samples[:count].tolist(), found.places[:count].tolist(), strict=True):
        shown = [sides.fakes(slice(sample, sample + 1)), *(sides.all_reals(slice(at, at + 1)) for at in places)]
        rows.append(np.concatenate([each.images for each in shown if isinstance(each, Pictures)]))
    images = np.concatenate(rows)
    each = 1 + found.places.shape[1]
    beside = max(1, round((len(rows) / each) ** 0.5))
    height, width = images.shape[2:]
    shape, factor = arrange(len(images), height, width, RESOLUTION, each * beside)
    try:
        save_png(sheet(picture_tiles(enlarge(images, (factor, factor))), shape), path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
