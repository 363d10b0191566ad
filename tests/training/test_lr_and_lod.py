"""The learning rates' ramp, and the level of detail in the logs."""

import math

import pytest

from pggan_framework.training.schedule import lod, lr_rampup


def test_lr_rampup_by_hand():
    assert lr_rampup(0, 40) == pytest.approx(math.exp(-5))
    assert lr_rampup(20_000, 40) == pytest.approx(math.exp(-1.25))
    assert lr_rampup(40_000, 40) == lr_rampup(0, 0) == 1.0


def test_lod_falls_by_one_a_depth():
    # 1024 px: lod 8 at 4x4, 0 at full size; halfway through the first fade 7.5.
    assert lod(0, 1.0, 10, 2) == 8
    assert lod(1, 0.5, 10, 2) == 7.5
    assert lod(8, 1.0, 10, 2) == 0
