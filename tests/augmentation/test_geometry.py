"""Affine changes against scipy's interpolation, exact ones against numpy."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from pggan_framework.augmentation.geometry import identity, rotation, scaling, shifted, spans, translation, warp

PICTURES = torch.rand(3, 2, 6, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def each(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_the_identity_changes_no_bit():
    assert torch.equal(warp(PICTURES, identity(PICTURES)), PICTURES)
    mixed = warp(PICTURES, translation(each(0, 0.5, 0), each(0, 0, 0)))
    assert torch.equal(mixed[[0, 2]], PICTURES[[0, 2]]) and not torch.allclose(mixed[1], PICTURES[1])


def test_mirrors_quarter_turns_and_shifts_are_exact():
    one = torch.ones(3, dtype=torch.float64)
    torch.testing.assert_close(warp(PICTURES, scaling(-one, one)), PICTURES.flip(3))
    square = PICTURES[..., :6]
    for quarters in (1, 2, 3):
        turned = warp(square, rotation(one * quarters * np.pi / 2).inverse())
        torch.testing.assert_close(turned, torch.rot90(square, quarters, (2, 3)))
    moved = warp(PICTURES, translation(-2 * one, one))
    padded = np.pad(PICTURES.numpy(), ((0, 0), (0, 0), (1, 1), (2, 2)), mode="symmetric")
    np.testing.assert_allclose(moved.numpy(), padded[:, :, 2:8, :10])


def test_affine_changes_equal_scipys():
    source = (
        translation(each(1.3, -0.4, 0), each(0.2, 2.5, 0))
        @ rotation(each(0.5, -2, 3))
        @ scaling(each(1.2, 0.8, 1), each(0.9, 1.5, 2))
    )
    got = warp(PICTURES, source).numpy()
    centre = np.array([(6 - 1) / 2, (10 - 1) / 2])
    for picture, matrix, result in zip(PICTURES.numpy(), source.numpy(), got, strict=True):
        rows = matrix[[1, 0]][:, [1, 0]]  # scipy counts rows first
        offset = centre + matrix[[1, 0], 2] - rows @ centre
        for channel, expected in zip(picture, result, strict=True):
            wanted = ndimage.affine_transform(channel, rows, offset, order=1, mode="reflect")
            np.testing.assert_allclose(wanted, expected, atol=1e-9)


@pytest.mark.parametrize(("beyond", "mode"), [("zero", "constant"), ("edge", "edge"), ("cyclic", "wrap")])
@pytest.mark.parametrize("axis", [2, 3])
def test_shifts_equal_padded_slices(beyond, mode, axis):
    by = torch.tensor([-4, 0, 3])
    got = shifted(PICTURES, by, axis, beyond)
    for picture, step, result in zip(PICTURES.numpy(), by.tolist(), got.numpy(), strict=True):
        padding = [(0, 0)] * 3
        padding[axis - 1] = (4, 4)
        padded = np.pad(picture, padding, mode=mode)
        start = 4 - step
        part = [slice(None)] * 3
        part[axis - 1] = slice(start, start + picture.shape[axis - 1])
        assert np.array_equal(padded[tuple(part)], result)


def test_spans_by_hand():
    got = spans(torch.tensor([-1, 2]), torch.tensor([3, 0]), 4)
    assert got.tolist() == [[True, True, False, False], [False] * 4]
    assert spans(torch.tensor([3]), 2, 4).tolist() == [[False, False, False, True]]
