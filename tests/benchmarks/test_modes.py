"""The counting of benchmarks/modes.py, on images made by hand."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from pggan_framework.config import resolve_overrides
from pggan_framework.registry import REGISTRY

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "modes.py"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("benchmark_modes", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # where the flags look up the types of `Crosses`
    spec.loader.exec_module(module)
    yield module
    REGISTRY.remove("Crosses")


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
    assert centres.shape == (16, 64, 1, 1)
    # Two bars of 16 pixels that share 4 are bright.
    assert ((centres == 1).sum((1, 2, 3)) == 28).all() and ((centres == -1).sum((1, 2, 3)) == 36).all()
    # Neighbours differ by one bar: 12 pixels of the 64 go out, 12 others light up.
    near = [np.sort(np.sqrt(((centres - centre) ** 2).mean((1, 2, 3))))[1] for centre in centres]
    assert near == pytest.approx([np.sqrt(24 * 2**2 / 64)] * 16)
    assert near[0] > 3 * script.CLOSE
    dataset = script.Crosses(480)
    reals = dataset.images(range(480), dataset.growth.max_depth) / 127.5 - 1
    assert script.count_modes(reals, centres) == (16, 1.0)
    assert script.count_modes(reals[::16], centres) == (1, 1.0)
    assert script.count_modes(-reals, centres) == (0, 0.0)
    # Two crosses in one image are not mode.
    assert script.count_modes(np.maximum(reals[:5], reals[5:10]), centres) == (0, 0.0)


def test_a_training_is_counted_and_repeats(script: ModuleType) -> None:
    first = script.train(script.WAYS["none"], seed=0, kimg=0.64)
    assert first == script.train(script.WAYS["none"], seed=0, kimg=0.64)
    assert 0 <= first[0] <= 16 and 0 <= first[1] < 0.5


def test_every_way_is_a_setting_of_its_own(script: ModuleType) -> None:
    resolved = [str(resolve_overrides(None, {**script.SETTING, **way})) for way in script.WAYS.values()]
    assert len(set(resolved)) == len(script.WAYS)
