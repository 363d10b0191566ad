"""The counting of benchmarks/modes.py, on pictures made by hand."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from pggan_framework.registry import REGISTRY

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "modes.py"


@pytest.fixture
def script() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("benchmark_modes", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    REGISTRY.remove("BlobGrid")


def test_modes_are_counted_by_their_share_of_good_samples(script: ModuleType) -> None:
    centres = np.stack([np.full((1, 2, 2), value) for value in (-1.0, 0.0, 1.0)])
    # Of 30: 20 at the first, 8 near the second, 1 at the third (below a fifth of ten), 1 between two and close to none.
    offsets = [-1.0] * 20 + [0.09] * 8 + [1.0] + [0.5]
    pictures = np.stack([np.full((1, 2, 2), value) for value in offsets])
    assert script.count_modes(pictures, centres, close=0.1, share=0.2) == (2, pytest.approx(29 / 30))
    assert script.count_modes(pictures, centres, close=0.08, share=0.2) == (1, pytest.approx(21 / 30))
    assert script.count_modes(pictures, centres, close=0.1, share=0.1) == (3, pytest.approx(29 / 30))
    assert script.count_modes(np.full((5, 1, 2, 2), 9.0), centres) == (0, 0.0)


def test_the_reals_are_good_and_cover_all_and_a_collapse_shows(script: ModuleType) -> None:
    centres = script.modes()
    assert centres.shape == (25, 1, 8, 8) and centres.min() >= -1 and centres.max() <= 1
    near = [np.sqrt(((centres - centre) ** 2).mean((1, 2, 3))) for centre in centres]
    assert min(np.sort(distances)[1] for distances in near) > 2 * script.CLOSE
    dataset = script.BlobGrid(500)
    reals = dataset.images(range(500), dataset.growth.max_depth) / 127.5 - 1
    assert script.count_modes(reals, centres) == (25, 1.0)
    assert script.count_modes(reals[::25], centres) == (1, 1.0)
    assert script.count_modes(-reals, centres) == (0, 0.0)
    # Two blobs in one picture are no mode.
    assert script.count_modes(np.maximum(reals, reals[::-1])[:10], centres)[1] < 0.3
