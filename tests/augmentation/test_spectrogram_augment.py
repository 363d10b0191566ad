"""What may be done to spectrograms: shifts in time, level, masks; nothing else."""

import numpy as np
import pytest
import torch

from pggan_framework.audio import build_codec
from pggan_framework.augmentation import SpectrogramAugment
from pggan_framework.errors import UserError

OFF = {"time_shift": 0.0, "gain": 0.0, "band_mask": 0.0, "time_mask": 0.0}


def only(codec=None, **given):
    augmentation = SpectrogramAugment(**{**OFF, **given})
    augmentation.setup(codec)
    return augmentation


def test_all_off_is_the_identity():
    x = torch.randn(3, 2, 8, 16)
    assert torch.equal(only()(x), x)


@pytest.mark.parametrize(("mode", "padding"), [("cyclic", "wrap"), ("edge", "edge")])
def test_time_shifts_are_whole_frames_and_no_frequency_moves(mode, padding):
    x = torch.rand(300, 1, 8, 16)
    seen = set()
    for before, after in zip(x.numpy(), only(time_shift=0.125, shift_mode=mode)(x).numpy(), strict=True):
        padded = np.pad(before, ((0, 0), (0, 0), (2, 2)), mode=padding)
        found = [by for by in range(-2, 3) if np.array_equal(padded[:, :, 2 - by : 18 - by], after)]
        assert len(found) == 1
        seen.update(found)
    assert seen == {-2, -1, 0, 1, 2}


def test_gain_is_a_constant_of_the_magnitudes_alone():
    x = torch.rand(200, 2, 4, 8, dtype=torch.float64)
    added = only(build_codec("if"), gain=0.1)(x) - x
    assert torch.equal(added[:, 1], torch.zeros_like(added[:, 1]))
    torch.testing.assert_close(added[:, 0], added[:, 0, :1, :1].expand(200, 4, 8))
    assert -0.1 <= added.min() < -0.08 and 0.08 < added.max() <= 0.1


@pytest.mark.parametrize(("flag", "axis"), [("band_mask", 2), ("time_mask", 3)])
def test_masks_silence_one_stretch(flag, axis):
    x = torch.rand(600, 2, 8, 16) + 1
    y = only(build_codec("if"), **{flag: 0.5})(x)
    limit = x.shape[axis] // 2
    gone = (y != x).all(1)
    assert torch.equal((y != x).any(1), gone)
    assert (y[:, 0][gone] == -1).all() and (y[:, 1][gone] == 0).all()
    lines = gone.any(5 - axis - 1) if axis == 2 else gone.any(1)
    assert torch.equal(lines, gone.all(2 if axis == 2 else 1))
    for line in lines.int().tolist():
        assert "".join(map(str, line)).strip("0").count("0") == 0  # one stretch, without a gap
    lengths = lines.sum(1)
    assert set(lengths.tolist()) == set(range(limit + 1))
    assert lines.any(0).all()


def test_without_a_codec_all_channels_are_magnitudes():
    x = torch.zeros(50, 3, 4, 4)
    y = only(gain=0.5)(x)
    assert torch.equal(y, y[:, :1, :1, :1].expand_as(y)) and y[:, 0, 0, 0].unique().numel() == 50


def test_gradients_are_right():
    x = torch.rand(3, 2, 4, 8, dtype=torch.float64, requires_grad=True)

    def fixed(images):
        torch.manual_seed(2)
        return only(time_shift=0.3, shift_mode="edge", gain=0.1, band_mask=0.3, time_mask=0.3)(images)

    assert torch.autograd.gradcheck(fixed, x, fast_mode=True)


def test_what_a_codec_does_not_have_is_told():
    with pytest.raises(UserError, match="those of the codec raw are not; allowed: any other codec"):
        only(build_codec("raw"))
    with pytest.raises(UserError, match=r"gain 0.05 is given, but the codec complex has no .* allowed: 0"):
        only(build_codec("complex"), gain=0.05)
    only(build_codec("complex"))
    with pytest.raises(UserError, match=r"SpectrogramAugment.time_mask 2 is not allowed; allowed: 0 to 1"):
        SpectrogramAugment(time_mask=2)
    with pytest.raises(UserError, match=r"SpectrogramAugment.gain -1 is not allowed; allowed: 0 to 2"):
        SpectrogramAugment(gain=-1)
