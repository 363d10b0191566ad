"""HDF5 files of the original tool, written here, and prepared files."""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from pggan_framework import UserError
from pggan_framework.data.datasets.images import DefaultImageFolderDataset
from pggan_framework.data.sources.base import LabelChoice
from pggan_framework.data.sources.h5 import H5Source
from pggan_framework.data.sources.opening import open_source
from pggan_framework.data.store.prepared import save_prepared

PICTURES = np.random.default_rng(0).integers(0, 256, (6, 3, 8, 8), dtype=np.uint8)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "faces.h5"
    with h5py.File(path, "w") as made:
        for step in (8, 4, 2, 1):
            made.create_dataset(f"data{8 // step}x{8 // step}", data=PICTURES[:, :, ::step, ::step])
    return path


def test_the_largest_size(file: Path) -> None:
    source = open_source(file)
    assert isinstance(source, H5Source) and len(source) == 6 and source.one_size == (8, 8)
    assert source.labels is None and source.name(5) == "image 5"
    for reader in (source, pickle.loads(pickle.dumps(source))):
        for index in (5, 0):
            np.testing.assert_array_equal(np.asarray(reader.read(index)), PICTURES[index].transpose(1, 2, 0))
    before = source.identity()
    with h5py.File(file, "r+") as made:
        made["data8x8"][2, 1, 3, 3] ^= 8
    assert open_source(file).identity() != before


@pytest.mark.parametrize("labels", [[3, 1, 1, 2, 0, 3], np.eye(4)[[3, 1, 1, 2, 0, 3]]], ids=["numbers", "one-hot"])
def test_labels_beside_it(file: Path, labels: np.ndarray) -> None:
    np.save(file.with_name("faces-labels.npy"), np.asarray(labels, np.float32))
    assert open_source(file, LabelChoice(["class"])).labels == {"class": ["3", "1", "1", "2", "0", "3"]}
    with pytest.raises(UserError, match=r"--labels 'kind' is not known; .*faces\.h5 has: class"):
        open_source(file, LabelChoice(["kind"]))
    file.with_name("faces-labels.npy").unlink()
    with pytest.raises(UserError, match="has no labels, neither inside nor next to it"):
        open_source(file, LabelChoice(["class"]))


def test_a_prepared_file_with_its_labels(tmp_path: Path) -> None:
    for number, name in enumerate(("cat", "dog", "dog", "cat")):
        (tmp_path / "in" / name).mkdir(parents=True, exist_ok=True)
        pixels = PICTURES[number, 0].repeat(2, axis=0).repeat(2, axis=1)
        Image.fromarray(pixels).save(tmp_path / "in" / name / f"{number}.png")
    dataset = DefaultImageFolderDataset(tmp_path / "in", imread_mode="L", labels=["folder"])
    save_prepared(dataset, tmp_path / "out.h5")
    source = open_source(tmp_path / "out.h5", LabelChoice(["folder"]))
    assert source.labels == {"folder": ["cat", "cat", "dog", "dog"]}
    assert source.read(1).mode == "L" and source.one_size == (16, 16)
    np.testing.assert_array_equal(np.asarray(source.read(1)), dataset.image(1)[0])


def test_files_of_something_else(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "sound.h5", "w") as made:
        made.create_dataset("data8x8", data=PICTURES[:, :1].astype(np.float16))
    with pytest.raises(UserError, match="holds no images but 1 channels of float16"):
        open_source(tmp_path / "sound.h5")
    with h5py.File(tmp_path / "other.h5", "w") as made:
        made.create_dataset("images", data=PICTURES)
    with pytest.raises(UserError, match="has no data sets data.h.x.w.*it has images"):
        open_source(tmp_path / "other.h5")
    (tmp_path / "half.h5").write_bytes((tmp_path / "other.h5").read_bytes()[:700])
    with pytest.raises(UserError, match=r"half\.h5"):
        open_source(tmp_path / "half.h5")
