"""Frequencies of the labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from pggan_framework.data.base import DepthDataset
from pggan_framework.errors import plural
from pggan_framework.inspection.report import Report
from pggan_framework.labels.maps import MapSpace

FEW = 12
"""Largest number of values that the text lists completely."""
RARE = 20
"""Ratio of the most frequent to a rare value above which there is a warning."""


def _add_maps(report: Report, space: MapSpace) -> None:
    """Report the fraction of pixels in each class."""
    maps = space.examples
    counts = np.bincount(maps.maps(np.arange(len(maps))[:, None]).ravel(), minlength=len(space.classes))
    shares = {entry.name: float(count / counts.sum()) for entry, count in zip(space.classes, counts, strict=True)}
    words = ", ".join(f"{name} {share:.2%}" for name, share in shares.items())
    report.add("label maps", {"classes": f"{len(shares)}: {words} (of the pixels of {plural(len(maps), 'map')})"})
    report.figures["label_maps"] = shares


def add_labels(report: Report, dataset: DepthDataset) -> None:
    """Report the frequency of each value of each label, if the data are labelled."""
    space, labels = dataset.label_space, dataset.labels
    if space is None or labels is None:
        return
    if isinstance(space, MapSpace):
        _add_maps(report, space)
        return
    rows: dict[str, str] = {}
    figures: dict[str, Any] = {}
    for column, (attribute, numbers) in enumerate(zip(space.attributes, space.counts(labels), strict=True)):
        if numbers is None:
            spread = {share: float(np.quantile(labels[:, column], share / 100)) for share in (0, 25, 50, 75, 100)}
            rows[attribute.name] = "continuous; 0 / 25 / 50 / 75 / 100 %: " + " / ".join(
                f"{value:.4g}" for value in spread.values()
            )
            figures[attribute.name] = {"percentiles": {str(share): value for share, value in spread.items()}}
            continue
        counts = {value: int(number) for value, number in zip(attribute.values, numbers, strict=True)}
        rarest, most = min(counts, key=lambda v: counts[v]), max(counts, key=lambda v: counts[v])
        few = ": " + ", ".join(f"{value} {count}" for value, count in counts.items()) if len(counts) <= FEW else ""
        rows[attribute.name] = (
            f"{plural(len(counts), 'value')}{few}; the rarest is {rarest} ({counts[rarest]}), the most frequent {most}"
            f" ({counts[most]})"
        )
        figures[attribute.name] = {"counts": counts, "rarest": rarest, "most_frequent": most}
        if counts[most] > RARE * max(counts[rarest], 1):
            report.warnings.append(
                f"the label {attribute.name} is {most} {counts[most]} times but {rarest} only"
                f" {plural(counts[rarest], 'time')}: rare values will be learned poorly"
            )
    report.add("labels", rows)
    report.figures["labels"] = figures
