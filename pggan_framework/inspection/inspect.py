"""Inspect a dataset: a text report, statistics, images and sounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pggan_framework.audio.base import Codec, Wave
from pggan_framework.data.base import DepthDataset, Pixels
from pggan_framework.data.datasets.sound import SoundImageDataset
from pggan_framework.data.datasets.wave import WaveDataset
from pggan_framework.errors import plural
from pggan_framework.inspection.decoding import Decoding
from pggan_framework.inspection.drawing import draw, draw_depths
from pggan_framework.inspection.files import add_picture_files, add_recordings, spread
from pggan_framework.inspection.labelling import add_labels
from pggan_framework.inspection.report import Report
from pggan_framework.inspection.sound import add_clips, add_round_trip
from pggan_framework.inspection.warnings import DataFacts, alike_fraction, data_warnings
from pggan_framework.postprocessors.picture import save_png
from pggan_framework.postprocessors.soundfiles import write_sound
from pggan_framework.storage.names import write_text

if TYPE_CHECKING:
    from PIL.Image import Image

CONTACTS = 24
"""Number of images on the sample grid of image data."""


@dataclass
class Inspection:
    """The results of an inspection: a report, images and sounds.

    Args:
        report: report with the findings.
        pictures: images by file name.
        sounds: sounds by file name, [T] or [channels, T].
        sample_rate: sample rate of the sounds in Hz.
    """

    report: Report
    pictures: dict[str, Image] = field(default_factory=dict)
    sounds: dict[str, Wave] = field(default_factory=dict)
    sample_rate: int = 0

    @property
    def files(self) -> list[str]:
        """Names of the files that `write` creates."""
        return ["report.txt", "report.json", *self.pictures, *self.sounds]

    def write(self, directory: Path) -> None:
        """Write everything into an existing folder.

        Raises:
            OSError: if a file cannot be written.
            UserError: if a sound cannot be written.
        """
        write_text(directory / "report.txt", self.report.text())
        write_text(directory / "report.json", self.report.json())
        for name, image in self.pictures.items():
            save_png(image, directory / name)
        for name, wave in self.sounds.items():
            write_sound(directory / name, wave, self.sample_rate)


def inspect_data(
    dataset: DepthDataset,
    name: str,
    decoding: Decoding | None = None,
    clips: int = 4,
    max_clips: int = 200,
) -> Inspection:
    """Inspect a dataset without writing files.

    Counts are exact. Levels, clipped values, means and deviations are measured on at most `max_clips` clips, evenly
    spaced over the data and read one by one, so that memory use is constant.

    Args:
        dataset: training data.
        name: name of the dataset in the report.
        decoding: decoder settings (default: SoundSaver's).
        clips: number of clips to decode, draw and write.
        max_clips: number of clips to measure.

    Raises:
        UserError: if the dataset cannot read its files.
    """
    count = plural(len(dataset), "clip" if dataset.codec else "image")
    report = Report(f"{name}: {count} of {_size(dataset.shape)}")
    inspection = Inspection(report)
    report.figures.update({"name": name, "count": len(dataset), "shape": list(dataset.shape)})
    measured = spread(len(dataset), max_clips)
    directory = getattr(dataset, "dir_path", None)
    if isinstance(dataset, SoundImageDataset):
        add_recordings(report, dataset.dir_path, dataset.headers, max_clips)
    elif directory is not None and dataset.codec is None:
        add_picture_files(report, directory)
    report.add("training data", dataset.summary())
    if dataset.codec is not None:
        _inspect_sound(inspection, dataset, dataset.codec, decoding or Decoding(), measured, clips)
    else:
        _inspect_pictures(inspection, dataset, measured)
    add_labels(report, dataset)
    _add_warnings(report, dataset, measured)
    if not report.warnings:
        blind = dataset.codec is not None and not isinstance(dataset, WaveDataset)
        limit = ", as far as a file without the originals shows" if blind else ""
        report.verdict.insert(0, f"no problem was found that should be fixed before training{limit}")
    return inspection


def _add_warnings(report: Report, dataset: DepthDataset, measured: Sequence[int]) -> None:
    """Warn of too few examples, and of mostly padded, mostly silent or nearly equal examples."""
    contents = report.figures.get("contents", {})
    alike = alike_fraction(dataset, measured)
    report.figures["alike"] = alike
    facts = DataFacts(
        count=len(dataset),
        sound=dataset.codec is not None,
        padding=contents.get("padding", 0.0),
        silence=contents.get("silence", 0.0),
        alike=alike,
        frames=dataset.shape[2] if dataset.codec is not None else None,
        dataset=type(dataset).__name__,
    )
    report.warnings[:0] = data_warnings(facts)


def _inspect_sound(
    inspection: Inspection,
    dataset: DepthDataset,
    codec: Codec,
    decoding: Decoding,
    measured: Sequence[int],
    clips: int,
) -> None:
    """Report levels, the codec's images and its reconstruction error; add the files of `clips` clips."""
    report = inspection.report
    inspection.sample_rate = codec.sample_rate
    if isinstance(dataset, WaveDataset):
        shown, originals = add_clips(report, dataset, measured, clips)
    else:
        shown, originals = spread(len(dataset), clips), []
    _add_growth(report, dataset, _axes(codec))
    pictures = dataset.images(shown, dataset.growth.max_depth)
    decoded = add_round_trip(report, codec, originals, pictures.astype(np.float32), decoding)
    for number, picture in enumerate(pictures):
        if originals:
            inspection.sounds[f"clip_{number:02d}_original.wav"] = originals[number]
        inspection.sounds[f"clip_{number:02d}_decoded.wav"] = decoded[number]
        inspection.pictures[f"clip_{number:02d}.png"] = draw(dataset, picture[None])
    inspection.pictures["pictures.png"] = draw(dataset, pictures)
    inspection.pictures["depths.png"] = draw_depths(dataset, shown[len(shown) // 2])


def _inspect_pictures(inspection: Inspection, dataset: DepthDataset, measured: Sequence[int]) -> None:
    """Report mean and deviation of each channel, and empty images; add a sample grid."""
    report, depth = inspection.report, dataset.growth.max_depth
    _add_growth(report, dataset, {})
    moments = np.zeros((2, dataset.shape[0]))
    empty = 0
    for index in measured:
        planes = dataset.images([index], depth)[0].astype(np.float64)
        moments += planes.mean(axis=(1, 2)), (planes**2).mean(axis=(1, 2))
        empty += bool(np.all(planes == planes[:, :1, :1]))
    mean, square = moments / len(measured)
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    low, high = dataset.range_in
    report.add(
        f"values of {_measured(len(measured), len(dataset))}, from {low:g} to {high:g}",
        {
            "mean": ", ".join(f"{value:.4g}" for value in mean) + " by channel",
            "deviation": ", ".join(f"{value:.4g}" for value in deviation) + " by channel",
            "empty images": f"{empty} of a single colour",
        },
    )
    report.figures["values"] = {
        "measured": len(measured),
        "mean": mean.tolist(),
        "standard_deviation": deviation.tolist(),
        "empty": empty,
    }
    if empty:
        report.warnings.append(f"{empty} of {len(measured)} images {'has' if empty == 1 else 'have'} a single colour")
    shown: Pixels = dataset.images(spread(len(dataset), CONTACTS), depth)
    inspection.pictures["pictures.png"] = draw(dataset, shown)
    inspection.pictures["depths.png"] = draw_depths(dataset, len(dataset) // 2)


def _add_growth(report: Report, dataset: DepthDataset, axes: dict[str, str]) -> None:
    growth = dataset.growth
    stages = [f"{h}x{w}" for _, h, w in (growth.shape_at(depth) for depth in range(growth.max_depth + 1))]
    rows = {"shape": f"{_size(dataset.shape)} (channels x rows x columns)", **axes}
    report.add("the image", {**rows, "growth": f"{', '.join(stages)}: {plural(len(stages), 'depth')}"})
    report.figures["stages"] = stages


def _axes(codec: Codec) -> dict[str, str]:
    """Return the units of a row and a column of the image."""
    _, rows, columns = codec.shape
    seconds = codec.samples / codec.sample_rate
    hertz = codec.row_hz()
    if hertz is None:
        return {
            "a row": f"{codec.samples / rows / codec.sample_rate:.4g} s",
            "an image": f"{seconds:.4g} s",
        }
    steps = np.diff(hertz)
    even = len(steps) > 0 and np.allclose(steps, steps[0])
    row = f"{steps[0]:.5g} Hz" if even else "a band of variable width"
    left, right = codec.time_range()
    return {
        "a row": f"{row}, centres from {hertz[0]:.5g} to {hertz[-1]:.5g} Hz",
        "a column": f"{(right - left) / columns:.5g} s, {seconds:.4g} s in total",
    }


def _measured(measured: int, total: int) -> str:
    return f"all {total}" if measured == total else f"{measured} of {total}, evenly spaced"


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
