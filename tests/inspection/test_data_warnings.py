"""data_warnings and what it scores, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pggan_framework.data.base import DepthDataset
from pggan_framework.inspection import DataFacts, data_warnings, inspect_data
from pggan_framework.inspection.warnings import alike_fraction, fitting_frames, padding_and_silence


class Images(DepthDataset):
    """Given uint8 images."""

    def __init__(self, images: np.ndarray) -> None:
        self.given = images
        super().__init__(images.shape[1:])

    def __len__(self) -> int:
        return len(self.given)

    def image(self, index: int) -> np.ndarray:
        return self.given[index]

    def fingerprint(self) -> str:
        return "images"


def test_good_data_have_no_warning() -> None:
    assert data_warnings(DataFacts(50, True, padding=0.5, silence=0.5, alike=0.5)) == []


@pytest.mark.parametrize(
    ("facts", "parts"),
    [
        (DataFacts(12, False), ("there are only 12 images", "--augmentations ADA")),
        (DataFacts(49, True), ("there are only 49 clips", "add more recordings")),
        (DataFacts(90, True, padding=0.78, frames=512), ("78% padding", "--SoundImageDataset.frames 128")),
        (DataFacts(90, True, silence=0.6), ("60% silence", "--SoundImageDataset.trim_db 60")),
        (DataFacts(90, False, alike=0.9), ("90% of the images nearly equal another one", "remove duplicates")),
    ],
)
def test_each_problem_has_its_number_and_its_remedy(facts: DataFacts, parts: tuple[str, str]) -> None:
    (line,) = data_warnings(facts)
    assert "\n" not in line and all(part in line for part in parts)


def test_frames_that_fit() -> None:
    assert [fitting_frames(512, 0.75), fitting_frames(512, 0.74), fitting_frames(64, 0.51)] == [128, 256, 32]
    assert fitting_frames(64, 0.99) == 16


def test_padding_and_silence_of_a_clip() -> None:
    wave = np.zeros(8000, np.float32)
    wave[:800] = 0.5  # five stretches of 20 ms at 8 kHz are loud, five are quiet, the rest is padding
    wave[800:1600] = 0.5 * 10 ** (-65 / 20)
    assert padding_and_silence(wave, 8000) == (0.8, 0.5)
    assert padding_and_silence(np.stack([wave, 0 * wave]), 8000) == (0.8, 0.5)
    assert padding_and_silence(np.zeros(100, np.float32), 8000) == (0, 1)


def test_near_duplicates() -> None:
    images = np.random.default_rng(0).integers(0, 256, (10, 1, 16, 16), dtype=np.uint8)
    images[5:8] = images[:3]
    dataset = Images(images)
    assert alike_fraction(dataset, range(10)) == 0.6
    assert alike_fraction(dataset, [0]) == 0
    found = inspect_data(dataset, "images")
    assert found.report.figures["alike"] == 0.6
    assert [line.partition(":")[0] for line in found.report.warnings] == [
        "there are only 10 images",
        "60% of the images nearly equal another one",
    ]
    assert not any("no problem was found" in line for line in found.report.verdict)
