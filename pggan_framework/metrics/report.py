"""Evaluation of several metrics, each with its real-vs-real baseline: its value for other reals in place of fakes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

import pggan_framework.metrics.centroid
import pggan_framework.metrics.consistency
import pggan_framework.metrics.copying
import pggan_framework.metrics.edges
import pggan_framework.metrics.embeddings
import pggan_framework.metrics.fid
import pggan_framework.metrics.frechet
import pggan_framework.metrics.inception_score
import pggan_framework.metrics.kid
import pggan_framework.metrics.levels
import pggan_framework.metrics.manifold
import pggan_framework.metrics.ndb
import pggan_framework.metrics.pitch
import pggan_framework.metrics.structural
import pggan_framework.metrics.swd  # noqa: F401 - imports register the metrics
from pggan_framework.errors import UserError
from pggan_framework.metrics.base import BaseMetric, Batch, Clips, Features, Metric, PictureMetric, Pictures
from pggan_framework.metrics.deep import attach
from pggan_framework.metrics.rows import Rows
from pggan_framework.registry import REGISTRY

Kind = TypeVar("Kind", Metric, PictureMetric)


@dataclass(frozen=True)
class Figure:
    """A value of a metric.

    Args:
        name: ``frechet``, ``loudness.p50`` ...
        value: value of the fakes; nan if undefined.
        floor: the real-vs-real baseline: value of other reals in place of the fakes.
        n: clips or images per side.
    """

    name: str
    value: float
    floor: float
    n: int


def default_metrics(kind: type[Kind]) -> list[Kind]:
    """Return all default metrics of sounds (`Metric`) or images (`PictureMetric`)."""
    return [c.cls() for c in REGISTRY if c.kind == "metric" and issubclass(c.cls, kind) and c.cls.default]


def metric_class(name: str, kind: type[Kind]) -> type[Kind]:
    """Return the metric class of this name.

    Raises:
        UserError: if the metric does not exist, or measures sounds where images are measured, or vice versa.
    """
    found = REGISTRY.get(name, "metric").cls
    if not issubclass(found, kind):
        allowed = ", ".join(c.name for c in REGISTRY if c.kind == "metric" and issubclass(c.cls, kind))
        raise UserError(f"'{name}' is not a metric of {kind.what}; allowed: {allowed}")
    return found


def usable(metrics: Iterable[BaseMetric[Batch]], n: int, *sets: Batch) -> tuple[list[BaseMetric[Batch]], list[str]]:
    """Return the metrics usable with `n` clips per side and with `sets`, and the reasons against the other metrics."""
    taken: list[BaseMetric[Batch]] = []
    left_out = []
    for metric in metrics:
        lacking = next(filter(None, (metric.lacks(clips) for clips in sets)), "")
        if n < metric.minimum:
            lacking = f"{metric.minimum} {metric.what} per side; there are {n}"
        if lacking:
            left_out.append(f"{metric.name} needs {lacking}")
        else:
            taken.append(metric)
    return taken, left_out


def measure(
    metrics: Sequence[BaseMetric[Batch]], batches: Iterable[Batch], count: int, first: int = 0
) -> dict[str, Features]:
    """Compute the features [N, F] of each metric for all clips or images, with one batch in memory at a time.

    Batches beyond the `limit` of all metrics are not requested. Metrics with identical arrays, such as the images
    themselves or the outputs of one extractor, share them.

    Args:
        metrics: metrics to compute.
        batches: the clips or images.
        count: total number of clips, or number of clips up to the end of the last batch.
        first: index of the first clip of the first batch; metrics with a smaller `limit` return no features.
    """
    limits = {metric.name: count if metric.limit is None else min(metric.limit, count) for metric in metrics}
    rows: dict[str, Rows] = {}
    leaders: dict[str, str] = {}
    seen = first
    for clips in batches:
        begun: dict[tuple[int, int], str] = {}
        parts = []  # keep references while the batch is alive, so that ids are unique
        for metric in metrics:
            name, left = metric.name, limits[metric.name] - seen
            if left <= 0 or leaders.get(name, name) != name:
                continue
            part = metric.features(clips if left >= len(clips) else clips[:left])
            parts.append(part)
            # Metrics that use the same number of rows of an array share one copy.
            if leaders.setdefault(name, begun.setdefault((id(part), limits[name]), name)) == name:
                rows.setdefault(name, Rows(left)).add(part)
        seen += len(clips)
        if seen >= max(limits.values(), default=0):
            break
    return {name: rows[leader].array() for name, leader in leaders.items()}


def compare(
    metrics: Sequence[BaseMetric[Any]],
    reals: Mapping[str, Features],
    other_reals: Mapping[str, Features],
    fakes: Mapping[str, Features],
) -> list[Figure]:
    """Compute all values from the features of `measure`; metrics of a single set need no features of `reals`.

    Raises:
        UserError: if a metric has too few clips.
    """
    figures = []
    for metric in metrics:
        name = metric.name
        known = other_reals[name] if metric.alone else reals[name]
        values, floors = metric.compare(known, fakes[name]), metric.compare(known, other_reals[name])
        figures += [Figure(key, value, floors[key], len(fakes[name])) for key, value in values.items()]
    return figures


def as_dict(figures: Iterable[Figure]) -> dict[str, float]:
    """Convert to a dict: ``{"frechet": 12.1, "frechet.floor": 3.4, ...}``."""
    return {key: v for f in figures for key, v in ((f.name, f.value), (f"{f.name}.floor", f.floor))}


def table(figures: Sequence[Figure]) -> str:
    """Format the values as aligned lines."""
    rows = [("metric", "value", "real vs real", "n")]
    rows += [(f.name, _shown(f.value), _shown(f.floor), str(f.n)) for f in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}" for row in rows
    )


def _shown(value: float) -> str:
    return "-" if isnan(value) else f"{value:.4g}"


def evaluate_sounds(
    reals: NDArray[np.float32],
    fakes: NDArray[np.float32],
    sample_rate: int,
    metrics: Iterable[str] | None = None,
    real_midi: ArrayLike | None = None,
    fake_midi: ArrayLike | None = None,
) -> dict[str, float]:
    """Compare sounds with real ones.

    The reals are halved: the fakes are compared with the first half and, for the real-vs-real baseline ``NAME.floor``,
    the second half with the first, with equal numbers of clips. The reals must therefore be in random order.

    Args:
        reals: waves [N, T] or [N, channels, T], full scale 1.
        fakes: waves of the same shape except N; half as many as reals are used.
        sample_rate: samples per second.
        metrics: names of metrics (default: all that apply).
        real_midi: the pitch of each real, MIDI numbers [N], for the metric ``pitch``.
        fake_midi: the intended pitch of each fake.

    Raises:
        UserError: if a metric is unknown, or a selected one lacks its input or needs more clips.
        ValueError: if the shapes of the waves do not fit, or a sample is not finite.
    """
    midi = [None if each is None else np.asarray(each, dtype=np.float64) for each in (real_midi, fake_midi)]
    real, fake = Clips(reals, sample_rate, midi=midi[0]), Clips(fakes, sample_rate, midi=midi[1])
    if reals.shape[1:] != fakes.shape[1:]:
        raise ValueError(f"reals of shape {reals.shape} and fakes of shape {fakes.shape} differ in more than number")
    names = None if metrics is None else list(metrics)
    return _evaluate(real, fake, _chosen(names, Metric), names is not None)


def evaluate_pictures(
    reals: NDArray[np.uint8],
    fakes: NDArray[np.uint8],
    metrics: Iterable[str] | None = None,
    extractor: str = "auto",
    device: str = "cpu",
) -> dict[str, float]:
    """Compare images with real images. The reals are halved as in `evaluate_sounds`.

    Args:
        reals: uint8 [N, C, H, W], in random order.
        fakes: uint8 of the same shape except N; half as many as reals are used.
        metrics: names of metrics (default: all that apply).
        extractor: extractor of the features for ``fid`` and others; ``auto`` is ``lite0`` if it is installed, else
            ``random``.
        device: device of the extractor.

    Raises:
        UserError: if a metric is unknown or not for images, a selected one needs larger or more images, or the
            extractor does not exist.
        ValueError: if the images are not uint8 [N, C, H, W], or differ in shape.
    """
    if reals.shape[1:] != fakes.shape[1:]:
        raise ValueError(f"reals of shape {reals.shape} and fakes of shape {fakes.shape} differ in more than number")
    names = None if metrics is None else list(metrics)
    chosen = _chosen(names, PictureMetric)
    attach(chosen, extractor, device)
    return _evaluate(Pictures(reals), Pictures(fakes), chosen, names is not None)


def _chosen(names: Sequence[str] | None, kind: Any) -> list[Any]:
    """Return the metrics of these names, or the default ones."""
    return default_metrics(kind) if names is None else [metric_class(name, kind)() for name in names]


def _evaluate(real: Batch, fake: Batch, chosen: Iterable[BaseMetric[Batch]], named: bool) -> dict[str, float]:
    """Return the values of `fake`, and the baseline of the second half of `real`, both compared with the first half."""
    n = min(len(real) // 2, len(fake))
    taken, left_out = usable(chosen, n, real, fake)
    if left_out and (named or not taken):
        raise UserError("; ".join(left_out))
    compared = [metric for metric in taken if not metric.alone]
    measured = measure(compared, [real[:n]], n), measure(taken, [real[n : 2 * n]], n), measure(taken, [fake[:n]], n)
    return as_dict(compare(taken, *measured))
