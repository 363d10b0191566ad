"""ADA: what it draws, and how its probability follows D's scores."""

import itertools
from math import log

import numpy as np
import pytest
import torch

from pggan_framework.augmentation import ADA
from pggan_framework.errors import UserError


def test_probability_0_is_the_identity():
    x = torch.randn(4, 3, 8, 8)
    assert torch.equal(ADA()(x), x)
    assert torch.equal(ADA(initial_p=0.5, fixed_p=0.0)(x), x)


@pytest.mark.parametrize("group", ["blit", "geometry", "colour"])
@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 8, 16)])
def test_a_small_probability_leaves_most_pictures_as_they_are(group, shape):
    torch.manual_seed(0)
    x = torch.rand(2000, *shape)
    changed = (ADA(fixed_p=0.02, transforms=(group,))(x) - x).abs().amax((1, 2, 3)) > 1e-5
    assert 0.005 < float(changed.float().mean()) < 0.12


@pytest.mark.parametrize(("height", "width"), [(16, 16), (8, 16)])
def test_blits_are_mirrors_quarter_turns_of_squares_and_whole_shifts(height, width):
    torch.manual_seed(0)
    x = torch.rand(1, 1, height, width, dtype=torch.float64)
    down, right = height // 8, width // 8
    candidates = {}
    for mirror, turn in itertools.product((False, True), range(4) if height == width else (0,)):
        picture = np.rot90(x[0, 0].numpy()[:, ::-1] if mirror else x[0, 0].numpy(), turn)
        padded = np.pad(picture, ((down, down), (right, right)), mode="symmetric")
        for dy, dx in itertools.product(range(2 * down + 1), range(2 * right + 1)):
            candidates[mirror, turn, dy, dx] = padded[dy : dy + height, dx : dx + width]
    names, stack = list(candidates), np.stack(list(candidates.values()))
    got = ADA(fixed_p=1.0, transforms=("blit",))(x.expand(250, 1, height, width))[:, 0].numpy()
    near = np.abs(got[:, None] - stack).max((2, 3)) < 1e-6
    assert (near.sum(1) == 1).all()
    found = [names[at] for at in near.argmax(1)]
    for position, name in enumerate(("mirrors", "turns", "rows", "columns")):
        assert {entry[position] for entry in found} == {entry[position] for entry in names}, name


def test_geometry_has_the_papers_spread():
    # A ramp reports the matrix: value = a x + b y + c away from the edges, so least squares find its rows.
    torch.manual_seed(0)
    n, side = 1500, 33
    x, y = np.meshgrid(np.arange(side) - 16.0, np.arange(side) - 16.0)
    ramps = torch.from_numpy(np.stack([x, y]))[None].expand(n, 2, side, side)
    got = ADA(fixed_p=1.0, transforms=("geometry",))(ramps)[..., 14:19, 14:19].numpy()
    points = np.stack([np.ones((5, 5)), x[14:19, 14:19], y[14:19, 14:19]]).reshape(3, -1).T
    fit = np.linalg.lstsq(points, got.reshape(2 * n, -1).T, rcond=None)[0].T.reshape(n, 2, 3)
    inner = np.abs(fit[:, :, 0]).max(1) < 8  # the rest reaches over an edge
    scale = np.log(np.abs(np.linalg.det(fit[inner][:, :, 1:]))) / 2
    assert scale.std() == pytest.approx(0.2 * log(2), rel=0.15) and abs(scale.mean()) < 0.03
    singular = np.linalg.svd(fit[inner][:, :, 1:], compute_uv=False)
    stretch = np.log(singular[:, 0] / singular[:, 1]) / 2
    assert np.sqrt((stretch**2).mean()) == pytest.approx(0.2 * log(2), rel=0.15)
    assert np.median(np.abs(fit[:, :, 0])) == pytest.approx(0.6745 * side / 8, rel=0.25)


def test_p_moves_by_hand():
    ada = ADA(target=0.6, speed_kimg=0.1, interval=2)
    up, mixed, down = (torch.tensor(s) for s in ([2.0, 0.1, 3, 1], [1.0, 1, 5, -1], [-1.0, -1, -2, -9]))
    stats = ada.observe(mixed)
    assert (float(stats["ada.p"]), float(stats["ada.r"]), ada.p) == (0, 0.5, 0)
    ada.observe(up)  # r = (0.5 + 1) / 2 = 0.75 is above 0.6: 8 images of 100
    assert ada.p == pytest.approx(0.08)
    assert float(ada.observe(up)["ada.p"]) == pytest.approx(0.08)
    ada.observe(up)
    assert ada.p == pytest.approx(0.16)
    for expected in (0.08, 0.0, 0.0):
        ada.observe(down)
        ada.observe(down)
        assert ada.p == pytest.approx(expected, abs=1e-9)
    ada.observe(mixed)
    ada.observe(mixed)  # 0.5 is below 0.6
    assert ada.p == 0
    for _ in range(40):
        ada.observe(up)
    assert ada.p == 1


def test_p_stays_where_r_is_as_aimed_at_and_where_it_is_fixed():
    ada = ADA(target=0.5, speed_kimg=0.1, interval=1, initial_p=0.3)
    ada.observe(torch.tensor([1.0, 1, 1, -1]))
    assert ada.p == 0.3
    fixed = ADA(fixed_p=0.4, interval=1)
    fixed.observe(torch.ones(4))
    fixed.load_state_dict(ada.state_dict())
    assert fixed.p == 0.4


def test_state_holds_a_count_that_is_under_way():
    first, second = (ADA(target=0.2, speed_kimg=0.1, interval=2) for _ in range(2))
    first.observe(-torch.ones(4))
    second.load_state_dict(first.state_dict())
    second.observe(torch.tensor([1.0, 1, 1, 1]))  # together r = 0, below 0.2
    assert second.p == 0
    second.observe(torch.ones(4))
    second.observe(torch.ones(4))
    assert second.p == pytest.approx(0.08)


def test_gradients_are_right():
    x = torch.rand(3, 3, 4, 5, dtype=torch.float64, requires_grad=True)

    def fixed(images):
        torch.manual_seed(2)
        return ADA(fixed_p=0.9)(images)

    assert torch.autograd.gradcheck(fixed, x, fast_mode=True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"target": 1.2}, "ADA.target 1.2 is not allowed; allowed: 0 to 1"),
        ({"speed_kimg": 0}, "ADA.speed_kimg 0 is not allowed; allowed: above 0"),
        ({"interval": 0}, "ADA.interval 0 is not allowed; allowed: 1 and up"),
        ({"initial_p": -0.1}, "ADA.initial_p -0.1 is not allowed; allowed: 0 to 1"),
        ({"fixed_p": 2}, "ADA.fixed_p 2 is not allowed; allowed: 0 to 1, or None"),
        ({"transforms": ()}, "ADA.transforms () is not allowed; allowed: one or more of blit, geometry, colour"),
    ],
)
def test_limits_are_told(given, message):
    with pytest.raises(UserError) as told:
        ADA(**given)
    assert str(told.value) == message
