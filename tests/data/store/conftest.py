"""A set of images prepared in one file and in several."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sharded import COUNT, prepare


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """22 images in two folders; one of them turns out to be broken when it is decoded."""
    folder = tmp_path_factory.mktemp("source")
    random = np.random.default_rng(0)
    for number in range(COUNT):
        path = folder / ("late" if number > 15 else "early") / f"{number:03}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    broken = folder / "early" / "007.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-30] + bytes(10) + whole[-20:])
    return folder


@pytest.fixture(scope="module")
def made(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The set in one file, in 5 shards, and in 4 with mirror images."""
    folder = tmp_path_factory.mktemp("made")
    prepare(source, folder / "one.h5")
    prepare(source, folder / "five.h5", "--shards", "5")
    prepare(source, folder / "one_mirrored.h5", "--mirror")
    prepare(source, folder / "four_mirrored.h5", "--mirror", "--shards", "4")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return shutil.copytree(made, tmp_path / "made")
