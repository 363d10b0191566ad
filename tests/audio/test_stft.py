"""The transform in numpy, the one in torch and its inverse."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pggan_framework.audio.griffin_lim import TorchStft
from pggan_framework.audio.stft import stft


@pytest.mark.parametrize(("n_fft", "hop", "frames"), [(64, 32, 5), (64, 16, 9), (64, 20, 7), (64, 1, 30), (16, 7, 1)])
def test_torch_agrees_with_numpy_and_inverts(n_fft, hop, frames):
    wave = np.random.default_rng(0).normal(size=(2, frames * hop))
    expected = stft(wave, n_fft, hop)
    assert expected.shape == (2, n_fft // 2 + 1, frames)
    transform = TorchStft(n_fft, hop, frames, torch.device("cpu"))
    spectra = transform.forward(torch.from_numpy(wave).float())
    np.testing.assert_allclose(spectra.numpy().swapaxes(1, 2), expected, atol=1e-4)
    np.testing.assert_allclose(transform.inverse(spectra).numpy(), wave, atol=1e-4)


def test_frames_lie_half_a_hop_in():
    # The definition, summed by hand: frame i is centred on (i + 1/2) hop.
    n_fft, hop = 8, 4
    wave = np.arange(1.0, 9.0)
    window = [np.sin(np.pi * n / n_fft) ** 2 for n in range(n_fft)]
    for i in range(2):
        total = 0j
        for n in range(n_fft):
            place = int((i + 0.5) * hop) - n_fft // 2 + n
            if 0 <= place < len(wave):
                total += window[n] * wave[place] * np.exp(-2j * np.pi * 3 * n / n_fft)
        assert stft(wave, n_fft, hop)[3, i] == pytest.approx(total)
