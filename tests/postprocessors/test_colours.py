"""Colour maps: even lightness, ends that meet, two sides of 0, one palette a grid."""

import numpy as np
import pytest

from pggan_framework.postprocessors import colours


def lightness(table: np.ndarray) -> np.ndarray:
    """CIE 1976 L* of sRGB under D65, written out here."""
    return lab(table)[..., 0]


def lab(table: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of sRGB bytes [..., 3]."""
    linear = table / 255
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = linear @ np.array(to_xyz).T / [0.9505, 1.0, 1.089]
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def test_lightness_of_magnitudes_rises_evenly():
    light = lightness(colours.sequential())
    assert light[0] < 5 and light[-1] > 93
    assert np.abs(light - np.linspace(light[0], light[-1], 256)).max() < 1.5
    assert np.all(light[4:] > light[:-4])


def test_angles_go_round_in_even_steps():
    table = colours.cyclic()
    assert np.array_equal(table[0], table[255])
    light = lightness(table)
    assert light[127] < 50 and light[0] > 80 and np.all(np.diff(light[135::8]) > 0)
    # Steps of an eighth of a circle, around it, by another colour space than the one it is made in.
    eighths = lab(table)[np.rint(np.arange(9) * 255 / 8).astype(int)]
    steps = np.linalg.norm(np.diff(eighths, axis=0), axis=1)
    assert steps.min() > 20 and steps.max() / steps.min() < 2.5
    # Opposite angles are far apart, even in the same lightness.
    assert np.linalg.norm(lab(table[64]) - lab(table[192])) > 60


def test_both_sides_of_zero_are_equally_bright_and_differ_in_hue():
    table = colours.diverging()
    light = lightness(table)
    assert light[127] < 5 and light[0] > 90
    assert np.abs(light - light[::-1]).max() < 6
    assert np.all(np.diff(light[128::8]) > 0) and np.all(np.diff(light[127::-8]) > 0)
    below, above = table[64].astype(int), table[191].astype(int)
    assert below[2] > below[0] + 100 and above[0] > above[2] + 100


@pytest.mark.parametrize(
    "kinds", [("magnitude",), ("magnitude", "phase step"), ("real", "imaginary"), ("magnitude", "real", "phase step")]
)
def test_one_palette_holds_the_greys_and_every_map(kinds):
    maps = {"magnitude": colours.sequential, "phase step": colours.cyclic}
    palette, indices = colours.palette(kinds)
    assert palette.shape == (256, 3) and set(indices) == set(kinds)
    assert palette[0].tolist() == [0, 0, 0] and palette[15].tolist() == [255, 255, 255]
    for kind in kinds:
        table = maps.get(kind, colours.diverging)()
        shown = palette[indices[kind]].astype(int)
        assert indices[kind].min() >= 16
        assert np.array_equal(shown[[0, 255]], table[[0, 255]])
        assert np.abs(shown - table).max() < 20
    if "phase step" in kinds:
        assert np.array_equal(palette[indices["phase step"][0]], palette[indices["phase step"][255]])


def test_a_kind_nobody_knows_is_drawn_as_magnitude():
    palette, indices = colours.palette(["loudness"])
    assert np.abs(palette[indices["loudness"]].astype(int) - colours.sequential()).max() < 5
