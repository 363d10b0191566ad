"""DiffAugment against its definition, written out in numpy."""

import numpy as np
import pytest
import torch

from pggan_framework.augmentation import DiffAugment
from pggan_framework.errors import UserError


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 8, 32), (4, 4, 4), (2, 1, 2)])
def test_strength_0_is_the_identity(shape):
    x = torch.randn(5, *shape)
    assert torch.equal(DiffAugment(brightness=0, saturation=0, contrast=0, shift=0, hole=0)(x), x)


def test_colours_change_as_defined():
    x = torch.randn(200, 3, 4, 6, dtype=torch.float64)
    added = DiffAugment(policy=("color",), saturation=0, contrast=0)(x) - x
    assert torch.allclose(added, added[:, :1, :1, :1].expand_as(x))
    assert added.min() >= -0.5 and added.max() <= 0.5 and added[:, 0, 0, 0].unique().numel() == 200
    assert added.min() < -0.4 and added.max() > 0.4

    for limits, axes in (({"brightness": 0, "contrast": 0}, 1), ({"brightness": 0, "saturation": 0}, (1, 2, 3))):
        y = DiffAugment(policy=("color",), **limits)(x)
        mean = x.mean(axes, keepdim=True)
        torch.testing.assert_close(y.mean(axes, keepdim=True), mean)
        factors = ((y - mean) / (x - mean)).flatten(1)
        torch.testing.assert_close(factors, factors[:, :1].expand_as(factors))
        low, high = (0, 2) if "contrast" in limits else (0.5, 1.5)
        assert low <= factors.min() < low + 0.1 and high - 0.1 < factors.max() <= high


def test_translations_are_whole_pixels_and_bring_in_zeros():
    x = torch.rand(400, 2, 8, 16) + 1
    seen = set()
    for before, after in zip(x.numpy(), DiffAugment(policy=("translation",))(x).numpy(), strict=True):
        padded = np.pad(before, ((0, 0), (1, 1), (2, 2)))
        found = [
            (down, right)
            for down in (-1, 0, 1)
            for right in (-2, -1, 0, 1, 2)
            if np.array_equal(padded[:, 1 - down : 9 - down, 2 - right : 18 - right], after)
        ]
        assert len(found) == 1
        seen.update(found)
    assert len(seen) == 15


@pytest.mark.parametrize(("height", "width", "hole"), [(16, 16, 0.5), (8, 32, 0.5), (16, 8, 0.3)])
def test_the_hole_is_the_one_of_the_definition(height, width, hole):
    x = torch.rand(3000, 1, height, width) + 1
    holes = (DiffAugment(policy=("cutout",), hole=hole)(x) == 0)[:, 0].numpy()
    expected = []
    for length, other in ((height, 2), (width, 1)):
        size = int(length * hole + 0.5)
        kept = [
            np.unique(np.clip(start + np.arange(size) - size // 2, 0, length - 1)).tolist()
            for start in range(length + 1 - size % 2)
        ]
        got = [np.flatnonzero(box.any(axis=other - 1)).tolist() for box in (holes.any(axis=0)[None], *holes)]
        assert {tuple(rows) for rows in got[1:]} == {tuple(rows) for rows in kept}
        expected.append(np.mean([len(rows) for rows in kept]))
    assert (holes.sum((1, 2)) == holes.any(2).sum(1) * holes.any(1).sum(1)).all()
    assert holes.sum((1, 2)).mean() == pytest.approx(expected[0] * expected[1], rel=0.05)


def test_the_gradient_is_that_of_what_is_left():
    x = torch.rand(3, 3, 4, 4, dtype=torch.float64, requires_grad=True)

    def fixed(images):
        torch.manual_seed(3)
        return DiffAugment()(images)

    assert torch.autograd.gradcheck(fixed, x, fast_mode=True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"policy": ()}, "DiffAugment.policy () is not allowed; allowed: one or more of color, translation, cutout"),
        ({"contrast": -1}, "DiffAugment.contrast -1 is not allowed; allowed: 0 and above"),
        ({"shift": 1.5}, "DiffAugment.shift 1.5 is not allowed; allowed: 0 to 1"),
    ],
)
def test_limits_are_told(given, message):
    with pytest.raises(UserError) as told:
        DiffAugment(**given)
    assert str(told.value) == message
