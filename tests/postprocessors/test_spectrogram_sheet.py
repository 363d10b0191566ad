"""Grids of spectrograms: what is drawn where."""

from __future__ import annotations

import time

import numpy as np
import pytest

from pggan_framework.audio import build_codec
from pggan_framework.postprocessors import colours
from pggan_framework.postprocessors.picture import GAP
from pggan_framework.postprocessors.spectrogram import panel_names, spectrogram_sheet

SIZES = {"sample_rate": 8000, "n_fft": 128, "hop_length": 32, "frames": 64}


def drawn(name: str, samples: np.ndarray, channels: int = 1, **options) -> np.ndarray:
    codec = build_codec(name, channels=channels, **SIZES)
    return np.asarray(spectrogram_sheet(samples, codec, **options).convert("RGB")).astype(int)


def test_without_axes_there_are_only_tiles_and_lines():
    samples = np.full((6, 1, 64, 64), -1, np.float32)
    samples[0, 0, 0] = 1  # the lowest frequency of the first
    pixels = drawn("abslog", samples, axes=False, resolution=1)
    assert pixels.shape == (2 * 64 + GAP, 3 * 64 + 2 * GAP, 3)
    dark, bright = colours.sequential()[[0, 255]]
    assert np.array_equal(pixels[63, :64], np.tile(bright, (64, 1)))
    assert np.all(pixels[:63, :64] == dark) and np.all(pixels[66:, :64] == dark)
    assert np.all(pixels[64:66] == pixels[64, 0]) and not np.array_equal(pixels[64, 0], dark)


def test_axes_stand_around_the_same_tiles():
    rng = np.random.default_rng(0)
    samples = rng.uniform(-1, 1, (6, 1, 64, 64)).astype(np.float32)
    plain = drawn("abslog", samples, axes=False)[:256, :256]
    pixels = drawn("abslog", samples)
    coloured = np.ptp(pixels, axis=-1) > 8
    top, left = np.argmax(coloured.mean(axis=1) > 0.3), np.argmax(coloured.mean(axis=0) > 0.3)
    assert np.array_equal(pixels[top : top + 256, left : left + 256], plain)
    assert pixels[0, 0].tolist() == [255, 255, 255]
    below = top + 2 * 256 + 13
    for margin in (pixels[:, :left], pixels[:top], pixels[below:]):
        assert 0.001 < np.mean(margin[..., 0] < 128) < 0.1  # letters and marks
        assert np.all(np.ptp(margin, axis=-1) == 0)


def test_a_mark_points_at_the_row_of_its_frequency():
    # Rows of 62.5 Hz: 1000 Hz is row 16. One sample, enlarged 8 times, 512 high.
    samples = np.full((1, 1, 64, 64), -1, np.float32)
    samples[0, 0, 16] = 1
    pixels = drawn("abslog", samples)
    bright = np.all(pixels == colours.sequential()[255], axis=-1)
    rows = np.flatnonzero(bright.sum(axis=1) > 256)
    left = np.flatnonzero(bright[rows[0]])[0]
    assert len(rows) == 8
    marks = np.flatnonzero(pixels[:, left - 2, 0] < 128)
    assert np.sum((marks >= rows[0]) & (marks <= rows[-1])) == 1


def test_every_depth_has_one_size():
    codec = build_codec("if", **SIZES)
    sizes = {
        spectrogram_sheet(np.zeros((5, 2, height, width), np.float32), codec, size=(64, 64)).size
        for height, width in ((4, 4), (16, 16), (32, 64), (64, 64))
    }
    assert len(sizes) == 1


def test_each_kind_has_its_colours():
    def colour(name: str, channel: int, value: float) -> list[int]:
        samples = np.full((1, 2, 64, 64), value, np.float32)
        return drawn(name, samples, axes=False, resolution=1)[5, 5 + channel * (64 + GAP)].tolist()

    assert colour("if", 0, -1) == colours.sequential()[0].tolist()
    assert colour("if", 1, -1) == colour("if", 1, 1) == colours.cyclic()[0].tolist()
    assert colour("complex", 1, 1) == colours.diverging()[255].tolist()
    assert sum(colour("complex", 0, 0)) < 40
    assert colour("complex", 0, -0.5)[2] > colour("complex", 0, -0.5)[0] + 80


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("name", ["abslog", "mellog", "ifmel", "complex", "reallog"])
def test_all_codecs_are_drawn_and_not_a_number_too(name, channels):
    codec = build_codec(name, channels=channels, **SIZES)
    for count in (1, 5):
        image = spectrogram_sheet(np.full((count, *codec.shape), np.nan, np.float32), codec, resolution=64)
        assert image.mode == "P" and min(image.size) > 64


def test_names():
    assert panel_names(("magnitude",), 1) == [""]
    assert panel_names(("magnitude", "phase step"), 1) == ["magnitude", "frequency"]
    assert panel_names(("magnitude", "magnitude"), 2) == ["left", "right"]
    assert panel_names(("real", "imaginary") * 2, 2) == ["L real", "L imaginary", "R real", "R imaginary"]
    assert panel_names(("real",) * 3, 3) == ["1", "2", "3"]


def test_a_full_sheet_is_drawn_quickly_and_small(tmp_path):
    codec = build_codec("abslog")
    noise = np.random.default_rng(0).uniform(-1, 1, (6, *codec.shape)).astype(np.float32)
    spent = []
    for _ in range(3):
        start = time.perf_counter()
        spectrogram_sheet(noise, codec).save(tmp_path / "a.png")
        spent.append(time.perf_counter() - start)
    assert min(spent) < 1.5  # 0.25 s on an idle machine
    # Noise cannot be packed: a byte a pixel of the images, next to nothing for the rest.
    assert (tmp_path / "a.png").stat().st_size < 1.1 * noise.size
