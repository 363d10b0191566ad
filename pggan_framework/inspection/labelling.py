"""How often each label is there."""

from __future__ import annotations

import numpy as np

from pggan_framework.data.base import DepthDataset
from pggan_framework.inspection.report import Report

FEW = 12
"""Up to so many values are all named in the text."""
RARE = 20
"""A value this many times rarer than the most frequent one is worth a warning."""


def add_labels(report: Report, dataset: DepthDataset) -> None:
    """Report how often each value of each label is there, where the data are labelled."""
    space, labels = dataset.label_space, dataset.labels
    if space is None or labels is None:
        return
    rows, figures = {}, {}
    for column, attribute in enumerate(space.attributes):
        numbers = np.bincount(np.asarray(labels)[:, column], minlength=len(attribute.values))
        counts = {value: int(number) for value, number in zip(attribute.values, numbers, strict=True)}
        rarest, most = min(counts, key=lambda v: counts[v]), max(counts, key=lambda v: counts[v])
        few = ": " + ", ".join(f"{value} {count}" for value, count in counts.items()) if len(counts) <= FEW else ""
        rows[attribute.name] = (
            f"{len(counts)} values{few}; the rarest is {rarest} ({counts[rarest]}), the most frequent {most}"
            f" ({counts[most]})"
        )
        figures[attribute.name] = {"counts": counts, "rarest": rarest, "most_frequent": most}
        if counts[most] > RARE * max(counts[rarest], 1):
            report.warnings.append(
                f"the label {attribute.name} is {most} {counts[most]} times but {rarest} only {counts[rarest]} times:"
                " rare values are learnt badly"
            )
    report.add("labels", rows)
    report.figures["labels"] = figures
