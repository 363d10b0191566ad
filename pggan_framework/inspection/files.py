"""Report on the contents of a folder, from the files' headers and a sample of their data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

import numpy as np

from pggan_framework.audio.forward import Stream
from pggan_framework.audio.reading import SoundFile
from pggan_framework.data.walk import walk
from pggan_framework.inspection.levels import FULL_SCALE
from pggan_framework.inspection.report import Report, counted

CLIPPED = 0.001
"""Fraction of clipped samples above which there is a warning: 0.1 %."""
READ_SECONDS = 30
"""Seconds of each recording that are searched for samples at full scale."""
_BLOCK = 1 << 16


def spread(total: int, at_most: int) -> list[int]:
    """Select at most `at_most` numbers from 0 to total - 1, evenly spaced, including the first and the last."""
    return [int(index) for index in np.unique(np.rint(np.linspace(0, total - 1, min(total, at_most))))]


def add_recordings(report: Report, directory: Path, headers: Sequence[SoundFile], at_most: int) -> None:
    """Report on all readable recordings below `directory`: lengths, rates, channels, and samples at full scale.

    Counts, lengths and rates are exact, from the headers; the fraction at full scale is measured on the first 30 s of
    at most `at_most` files, before mixing or resampling.
    """
    if not headers:
        return
    seconds = [header.frames / header.sample_rate for header in headers]
    rates = Counter(header.sample_rate for header in headers)
    channels = Counter(header.channels for header in headers)
    searched = [headers[index] for index in spread(len(headers), at_most)]
    share = _full_scale(searched)
    which = "all of them" if len(searched) == len(headers) else f"{len(searched)} of them"
    report.add(
        "recordings",
        {
            "files": f"{len(headers)} readable below {directory}",
            "lengths": f"{min(seconds):.3f} s shortest, {median(seconds):.3f} s median, {max(seconds):.3f} s"
            f" longest, {duration(sum(seconds))} in total",
            "sample rates": counted({f"at {rate} Hz": count for rate, count in rates.items()}),
            "channels": counted({f"with {_channels(number)}": count for number, count in channels.items()}),
            "at full scale": f"{share:.4%} of the samples, in the first {READ_SECONDS} s of {which}",
        },
    )
    report.figures["recordings"] = {
        "files": len(headers),
        "seconds": {
            "min": min(seconds),
            "median": median(seconds),
            "max": max(seconds),
            "total": sum(seconds),
        },
        "sample_rates": dict(sorted(rates.items())),
        "channels": dict(sorted(channels.items())),
        "full_scale_share": share,
        "full_scale_files": len(searched),
    }
    if share > CLIPPED:
        report.warnings.append(
            f"{share:.2%} of the recordings' samples are at full scale: the recordings are clipped,"
            " and generated sounds will be clipped too"
        )


def add_picture_files(report: Report, directory: Path) -> None:
    """Report on all image files below `directory`: sizes and modes, from their headers."""
    from pggan_framework.data.images.files import SUFFIXES, open_image, read_header

    sizes: Counter[tuple[int, int]] = Counter()
    modes: Counter[str] = Counter()
    for path in walk(directory).paths(SUFFIXES)[0]:
        try:
            with open_image(path) as image:
                sizes[read_header(image).size] += 1
                modes[image.mode] += 1
        except Exception:  # noqa: S112 - Pillow raises many kinds; the dataset's summary names the file
            continue
    if not sizes:
        return
    shapes = Counter({"upright": 0, "square": 0, "wide": 0})
    for (height, width), count in sizes.items():
        shapes["upright" if height > width else "wide" if width > height else "square"] += count
    report.add(
        "image files",
        {
            "files": f"{sum(sizes.values())} readable below {directory}",
            "sizes (h x w)": counted({f"of {height}x{width}": count for (height, width), count in sizes.items()}),
            "sides": f"{_range(height for height, _ in sizes)} high, {_range(width for _, width in sizes)} wide",
            "proportions": counted({name: count for name, count in shapes.items() if count}),
            "modes": counted(modes),
        },
    )
    report.figures["files"] = {
        "count": sum(sizes.values()),
        "sizes": {f"{height}x{width}": count for (height, width), count in sizes.most_common()},
        "modes": dict(modes.most_common()),
    }


def duration(seconds: float) -> str:
    """Format a duration: ``12.3 s``, ``4.5 min`` or ``3.2 h``."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _range(sides: Iterable[int]) -> str:
    ordered = sorted(sides)
    return f"{ordered[0]} to {ordered[-1]}" if ordered[0] < ordered[-1] else str(ordered[0])


def _channels(number: int) -> str:
    return f"{number} channel{'' if number == 1 else 's'}"


def _full_scale(files: list[SoundFile]) -> float:
    """Measure the fraction of samples at full scale; a truncated or damaged file counts up to the damage."""
    import soundfile

    cut, total = 0, 0
    for file in files:
        left = min(file.frames, READ_SECONDS * file.sample_rate)
        try:
            stream = Stream(file.opened)
            while left and len(block := stream.read(min(left, _BLOCK))):
                cut += int(np.count_nonzero(np.abs(block) >= FULL_SCALE))
                total += block.size
                left -= len(block)
        except (soundfile.SoundFileError, OSError):
            continue
    return cut / total if total else 0.0
