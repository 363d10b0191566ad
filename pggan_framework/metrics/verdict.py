"""Interpretation of the metrics of generated samples as text, the worst problem first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Any

from pggan_framework.errors import ratio_text

GOOD, FAIR = 5.0, 12.0
"""Largest ratio of the Fréchet distance to its real-vs-real baseline, at `CLIPS` clips, for good and fair samples."""
GOOD_SWD, FAIR_SWD = 2.5, 5.0
"""The same ratios for the sliced Wasserstein distance of images, at `IMAGES` images."""
CLIPS, IMAGES = 300, 1000
"""The numbers of clips and images that the limits and the reported distance refer to."""
SILENT_EDGE = -60.0
"""dB relative to the whole clip below which a start or an end counts as silent."""
SHOWN = 2
"""Largest number of problems in one line."""


@dataclass(frozen=True)
class Verdict:
    """The meaning of the metrics of a set of samples.

    Args:
        grade: ``good``, ``fair`` or ``poor``; at best ``fair`` if there is a problem.
        problems: worst first.
        ratio: distance of the samples to the data in units of the real-vs-real baseline, at `CLIPS` clips or `IMAGES`
            images; None if it was not measured.
        data: name of the data in `line`, such as "recordings".
    """

    grade: str
    problems: tuple[str, ...]
    ratio: float | None = None
    data: str = ""

    @property
    def distance(self) -> str:
        """The ratio as text; empty if it was not measured."""
        return (
            ""
            if self.ratio is None
            else f"about {ratio_text(self.ratio)} times the distance between two halves of the {self.data}"
        )

    @property
    def line(self) -> str:
        """At most `SHOWN` problems and the distance in one line."""
        head = self.problems[:SHOWN] or ((_GRADES[self.grade],) if self.grade else ())
        return "; ".join(filter(None, (*head, self.distance))) or "not measured"


_GRADES = {"good": "good", "fair": "fair", "poor": "still far from the data"}


def judge(line: Mapping[str, Any]) -> Verdict:
    """Grade a line that QualityMonitor wrote to metrics.jsonl."""
    return judge_images(line, line["n"]) if "swd.average" in line else judge_sound(line, line["n"])


def judge_sound(figures: Mapping[str, Any], n: int) -> Verdict:
    """Grade generated sounds.

    Args:
        figures: ``frechet``, ``consistency``, ``silence``, ``clipping``, ``edges.start``, ``edges.end``,
            ``loudness.p50``, ``loudness.spread`` and ``centroid.p50``, each with ``.floor`` for the recordings; a
            missing or non-finite metric is ignored.
        n: clips per side.
    """
    values = _finite(figures)
    found: list[tuple[float, str]] = []

    def note(severity: float, text: str) -> None:
        """Add a problem; a severity above 1 limits the grade."""
        if severity > 1:
            found.append((severity, text))

    if pair := _pair(values, "silence"):
        fake, real = pair
        note((fake - real) / 0.1, f"{fake:.0%} of the samples are silent (recordings: {real:.0%})")
    if pair := _pair(values, "clipping"):
        fake, real = pair
        text = f"clipped: {fake:.1%} of the sample values are at full scale (recordings: {real:.1%})"
        note(fake / max(0.001, 2 * real), text)
    if pair := _pair(values, "consistency"):
        fake, real = pair
        text = f"still noisy: spectral consistency {fake:.0f} dB, the recordings have {real:.0f}; train longer"
        note(1 + (fake - real / 2) / 3, text)
    for name, click, part, least, margin in (
        ("edges.end", "end in", "last 10 ms", -20.0, 3.0),
        ("edges.start", "start with", "first 2 ms", -40.0, 6.0),
    ):
        if pair := _pair(values, name):
            fake, real = pair
            known = "silent" if real < SILENT_EDGE else f"{real:.0f}"
            level = f"{part} at {fake:.0f} dB relative to the whole sample (recordings: {known})"
            severity = 1 + (fake - max(real, SILENT_EDGE) - margin) / 12
            note(severity if fake > least else 0, f"samples {click} a click: {level}")
    if pair := _pair(values, "loudness.p50"):
        fake, real = pair
        note(abs(fake - real) / 3, f"too {'quiet' if fake < real else 'loud'} by {abs(fake - real):.0f} dB")
    if pair := _pair(values, "loudness.spread"):
        fake, real = pair
        ratio, change = _factor(max(fake, 0.5), max(real, 0.5))
        what = "less" if change < 1 else "more"
        note(ratio / 1.5, f"levels vary {what} than the recordings' ({fake:.0f} dB, recordings: {real:.0f} dB)")
    if (pair := _pair(values, "centroid.p50")) and min(pair) > 0:
        fake, real = pair
        ratio, change = _factor(fake, real)
        what = "dull" if change < 1 else "bright"
        note(ratio / 1.25, f"too {what}: spectral centroid {fake:.0f} Hz, the recordings have {real:.0f}")
    ratio_of = _ratio(values, "frechet")
    # The baseline is a bias that falls as 1 / n: the ratio of the same samples increases with n.
    comparable = None if ratio_of is None else max(1 + (ratio_of - 1) * CLIPS / n, 1.0)
    return _verdict(found, comparable, (GOOD, FAIR), "recordings")


def judge_images(figures: Mapping[str, Any], n: int) -> Verdict:
    """Grade generated images.

    Args:
        figures: ``swd.64``, ``swd.32`` ... and ``swd.average``, each with ``.floor`` for the training images; a missing
            or non-finite metric is ignored.
        n: images per side.
    """
    values = _finite(figures)

    def comparable(name: str) -> float | None:
        """The ratio, converted to `IMAGES` images.

        The squared distance is the sum of a part independent of n and the squared baseline, which falls as 1 / n, as
        measured from 64 to 1,000 images per side.
        """
        ratio = _ratio(values, name)
        return None if ratio is None else sqrt(1 + max(ratio**2 - 1, 0) * IMAGES / n)

    ratio = comparable("swd.average")
    found: list[tuple[float, str]] = []
    sides = sorted(int(name[4:]) for name in values if name.startswith("swd.") and name[4:].isdecimal())
    ratios = {side: each for side in sides if (each := comparable(f"swd.{side}")) is not None}
    if len(ratios) > 1 and ratio is not None and ratio > GOOD_SWD:
        worst = max(ratios, key=lambda side: ratios[side])
        what = {max(ratios): "fine detail", min(ratios): "large shapes"}.get(worst, f"structure at {worst} pixels")
        found.append((ratios[worst] / GOOD_SWD, f"{what} differ{'' if what.endswith('s') else 's'} most"))
    return _verdict(found, ratio, (GOOD_SWD, FAIR_SWD), "training images")


def _verdict(found: list[tuple[float, str]], ratio: float | None, limits: tuple[float, float], data: str) -> Verdict:
    problems = tuple(text for _, text in sorted(found, key=lambda pair: -pair[0]))
    good, fair = limits
    if ratio is None and not problems:
        return Verdict("", ())
    grade = "fair" if problems and (ratio is None or ratio <= fair) else "poor"
    if not problems and ratio is not None:
        grade = "good" if ratio <= good else "fair" if ratio <= fair else "poor"
    return Verdict(grade, problems, ratio, data)


def _finite(figures: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if isinstance(value, (int, float)) and isfinite(value)}


def _pair(values: Mapping[str, float], name: str) -> tuple[float, float] | None:
    """Return the value of the samples and the value of the data."""
    floor = f"{name}.floor"
    return (values[name], values[floor]) if name in values and floor in values else None


def _ratio(values: Mapping[str, float], name: str) -> float | None:
    pair = _pair(values, name)
    return pair[0] / pair[1] if pair and pair[1] > 0 else None


def _factor(value: float, other: float) -> tuple[float, float]:
    """Return the factor, 1 or more, by which two values differ, and their ratio."""
    return max(value / other, other / value), value / other
