"""Metrics take torch tensors wherever they take arrays, and give the same values."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pggan_framework import UserError
from pggan_framework.metrics import Clips, Pictures, frechet_distance, ms_ssim, pitch_errors, sliced_wasserstein

RANDOM = np.random.default_rng(0)
A, B = (RANDOM.integers(0, 256, (6, 3, 32, 32), dtype=np.uint8) for _ in range(2))
FEATURES = [RANDOM.normal(size=(9, 3)) for _ in range(2)]
TONES = np.sin(2 * np.pi * np.array([[220.0], [440.0]]) * np.arange(4000) / 8000).astype(np.float32)


@pytest.mark.parametrize(
    ("call", "arrays"),
    [
        (sliced_wasserstein, (A, B)),
        (ms_ssim, (A, B)),
        (frechet_distance, FEATURES),
        (lambda waves, midi: pitch_errors(waves, 8000, midi, "autocorrelation"), (TONES, np.array([57.0, 69.0]))),
    ],
)
def test_tensors_give_what_arrays_give(call, arrays):
    tensors = [torch.from_numpy(array) for array in arrays]
    np.testing.assert_array_equal(call(*tensors), call(*arrays))
    np.testing.assert_array_equal(call(tensors[0], arrays[1]), call(*arrays))


def test_batches_hold_arrays_whatever_they_were_given():
    assert isinstance(Pictures(torch.from_numpy(A)).images, np.ndarray)
    clips = Clips(torch.from_numpy(TONES).requires_grad_(), 8000, midi=torch.tensor([57.0, 69.0]))
    assert isinstance(clips.waves, np.ndarray) and isinstance(clips.midi, np.ndarray)


@pytest.mark.parametrize("wrong", [torch.zeros(2, 3, 32, 32), torch.zeros(3, 32, 32, dtype=torch.uint8), A[:0]])
def test_what_is_no_set_of_images_is_refused_in_one_line(wrong):
    for call in (sliced_wasserstein, ms_ssim):
        with pytest.raises(UserError, match=r"images are .*; allowed: uint8 \[N, C, H, W\]"):
            call(wrong, wrong)
