"""The mel matrix, its inverse, and `mellog`."""

from __future__ import annotations

import numpy as np
import pytest
from test_codecs import notes

from pggan_framework.audio import build_codec, spectral_convergence
from pggan_framework.audio.mel import from_mel, mel_matrix, transpose


@pytest.mark.parametrize(("rate", "n_fft", "bands"), [(16000, 1024, 256), (8000, 64, 16), (44100, 2048, 1024)])
def test_every_band_reads_and_every_bin_is_read(rate, n_fft, bands):
    matrix = mel_matrix(rate, n_fft, bands)
    assert matrix.shape == (bands, n_fft // 2) and matrix.min() >= 0
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    assert matrix.sum(axis=0)[1:].min() > 0
    # Flat spectra stay flat, there and back; centres of bands rise.
    np.testing.assert_allclose(transpose(matrix) @ np.ones(bands), 1)
    assert np.all(np.diff(matrix @ np.arange(n_fft // 2)) > 0)


def test_least_squares_finds_magnitudes_that_explain_the_bands():
    matrix = mel_matrix(16000, 256, 64)
    wanted = np.abs(np.random.default_rng(0).normal(size=(2, 128, 5))) ** 3
    wanted[1] = 0
    bands = matrix @ wanted
    found = from_mel(matrix, bands, "cpu")
    assert found.min() >= 0 and not found[1].any()
    plain = transpose(matrix) @ bands
    assert np.linalg.norm(matrix @ found - bands) < 0.1 * np.linalg.norm(matrix @ plain - bands)


def test_round_trip_reaches_its_goal():
    wave = notes()
    codec = build_codec("mellog").fit([wave])
    back = codec.decode(codec.encode(wave).astype(np.float16).astype("f"), griffin_lim_iter=32)
    assert spectral_convergence(wave, back) <= -17
