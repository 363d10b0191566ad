"""The step against ``benchmarks/contestants/plain.py``: PGGAN in ordinary PyTorch, in which nothing is ours."""

from __future__ import annotations

import pytest
import torch

from benchmarks.gpu_parts.reference import Both


@pytest.mark.parametrize(("depth", "alpha"), [(0, 1.0), (1, 0.0), (1, 0.3), (1, 1.0), (2, 0.8), (2, 1.0)])
def test_gradients_are_those_of_plain_pytorch(depth: int, alpha: float) -> None:
    torch.manual_seed(0)
    both, side = Both(16, (32, 8), 6), 4 << depth
    drawn = (
        torch.rand(8, 3, side, side).double() * 2 - 1,
        torch.randn(8, 6).double(),
        torch.rand(8, 1, 1, 1).double(),
    )
    for which in ("D", "G"):
        ours, theirs = both.gradients(which, drawn, alpha, depth)  # type: ignore[arg-type]
        assert len(ours) >= 6
        for found, wanted in zip(ours, theirs, strict=True):
            assert (found - wanted).norm() <= 1e-11 * max(float(wanted.norm()), 1e-3)
