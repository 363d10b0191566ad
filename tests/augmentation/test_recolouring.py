"""Colours against torchvision, scipy's rotations, and what each change must leave alone."""

from math import pi

import numpy as np
import pytest
import torch
import torchvision.transforms.functional as TF
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pggan_framework.augmentation import ColourJitter
from pggan_framework.augmentation.colour import blended, grey, hue_turned, recoloured
from pggan_framework.errors import UserError

NEUTRAL = {"brightness": 0.0, "contrast": 1.0, "luma": 1.0, "hue": 0.0, "saturation": 1.0}


def changed(images, **factors):
    values = {
        name: torch.full((len(images),), value, dtype=images.dtype) for name, value in {**NEUTRAL, **factors}.items()
    }
    return recoloured(images, **values)


@given(angle=st.floats(-pi, pi), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_hue_rotates_about_the_greys_and_keeps_luma(angle, seed):
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    y = changed(x, hue=angle)
    torch.testing.assert_close(y.mean(1), x.mean(1))
    turn = Rotation.from_rotvec(np.ones(3) / np.sqrt(3) * angle)
    expected = turn.apply(x.permute(0, 2, 3, 1).reshape(-1, 3).numpy()).reshape(2, 4, 5, 3)
    np.testing.assert_allclose(y.permute(0, 2, 3, 1).numpy(), expected, atol=1e-9)


def test_linear_colours_by_hand():
    x = torch.randn(3, 3, 4, 5, dtype=torch.float64)
    mean = x.mean(1, keepdim=True)
    torch.testing.assert_close(changed(x), x)
    torch.testing.assert_close(changed(x, brightness=0.3, contrast=2), 2 * (x + 0.3))
    torch.testing.assert_close(changed(x, luma=-1), x - 2 * mean)
    torch.testing.assert_close(changed(x, saturation=0.5), mean + (x - mean) / 2)
    both = changed(x, brightness=0.3, luma=-1, saturation=2)
    torch.testing.assert_close(both, changed(changed(changed(x, brightness=0.3), luma=-1), saturation=2))


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_channels_take_brightness_and_contrast_only(channels):
    x = torch.randn(2, channels, 3, 3)
    factors = {"luma": -1.0, "hue": 1.0, "saturation": 3.0}
    assert torch.equal(changed(x, **factors), x)
    torch.testing.assert_close(changed(x, brightness=-0.1, contrast=0.5, **factors), (x - 0.1) / 2)


def test_jitter_equals_torchvisions():
    x = torch.rand(4, 3, 5, 7, dtype=torch.float64)
    x[0, :, 0, 0] = torch.tensor([0.5, 0.5, 0.5])
    x[0, :, 0, 1] = torch.tensor([0.7, 0.7, 0.1])
    factors = torch.tensor([0.6, 0.9, 1.0, 1.7], dtype=torch.float64)
    turns = torch.tensor([-0.5, -0.01, 0.2, 0.45], dtype=torch.float64)

    def each(adjust, amounts):
        return torch.stack([adjust(picture, float(amount)) for picture, amount in zip(x, amounts, strict=True)])

    mean = grey(x).mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(blended(x, torch.zeros_like(x), factors), each(TF.adjust_brightness, factors))
    # torchvision's grey has a fourth digit less.
    loose = {"atol": 1e-3, "rtol": 0}
    torch.testing.assert_close(blended(x, mean, factors), each(TF.adjust_contrast, factors), **loose)
    torch.testing.assert_close(blended(x, grey(x), factors), each(TF.adjust_saturation, factors), **loose)
    torch.testing.assert_close(hue_turned(x, turns), each(TF.adjust_hue, turns), atol=1e-5, rtol=0)  # float32 inside


def test_jitter_draws_within_its_limits_for_each_picture():
    x = (torch.rand(300, 3, 4, 4, dtype=torch.float64) + 0.5) / 2  # 0.25 to 0.75: nothing is clipped
    y = ColourJitter(0.2, 0, 0, 0)(x * 2 - 1) / 2 + 0.5
    factors = (y / x).flatten(1)
    torch.testing.assert_close(factors, factors[:, :1].expand_as(factors))
    assert 0.8 <= factors.min() < 0.83 and 1.17 < factors.max() <= 1.2


def test_jitter_off_is_the_identity_and_reals_stay_in_range():
    x = torch.rand(8, 3, 8, 8) * 2 - 1
    assert torch.equal(ColourJitter(0, 0, 0, 0)(x), x)
    y = ColourJitter(1, 1, 1, 0.5)(x)
    assert y.min() >= -1 and y.max() <= 1
    one = x[:, :1]
    assert torch.equal(ColourJitter(0, 0, 1, 0.5)(one), (one + 1) / 2 * 2 - 1)


def test_mirror_images_and_rotations():
    x = torch.rand(200, 1, 6, 8, dtype=torch.float64)
    flipped = ColourJitter(0, 0, 0, 0, flip=0.5)(x)
    same = (flipped - x).abs().amax((1, 2, 3)) < 1e-9
    mirrored = (flipped - x.flip(3)).abs().amax((1, 2, 3)) < 1e-9
    assert (same ^ mirrored).all() and 60 < int(same.sum()) < 140
    # Far from the centre a point moves by its distance times the angle: at most 3.5 * 10 degrees = 0.61 pixels.
    ramp = torch.arange(8.0, dtype=torch.float64).expand(200, 1, 9, 8)
    moved = (ColourJitter(0, 0, 0, 0, rotation=10)(ramp) - ramp)[:, 0, 4]  # the middle row: x -> x cos
    assert moved[:, 1:-1].abs().max() <= 3.5 * (1 - np.cos(np.radians(10))) + 1e-9
    column = (ColourJitter(0, 0, 0, 0, rotation=10)(ramp) - ramp)[:, 0, 1, 3:5].mean(1)
    assert 0.4 < column.abs().max() <= 3 * np.sin(np.radians(10)) + 1e-9


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"hue": 0.6}, "ColourJitter.hue 0.6 is not allowed; allowed: 0 to 0.5"),
        ({"rotation": -5}, "ColourJitter.rotation -5 is not allowed; allowed: 0 to 180"),
        ({"flip": 2}, "ColourJitter.flip 2 is not allowed; allowed: 0 to 1"),
    ],
)
def test_limits_are_told(given, message):
    with pytest.raises(UserError) as told:
        ColourJitter(**given)
    assert str(told.value) == message
