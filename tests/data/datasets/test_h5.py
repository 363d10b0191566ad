import pickle
import subprocess
import sys

import h5py
import numpy as np
import pytest

from pggan_framework.data.base import box_mean
from pggan_framework.data.datasets.h5 import OldH5Dataset
from pggan_framework.errors import UserError

COUNT, CHANNELS, SIDE = 7, 3, 16


@pytest.fixture
def pictures():
    return np.random.default_rng(0).integers(0, 256, (COUNT, CHANNELS, SIDE, SIDE), dtype=np.uint8)


def write(path, pictures, sides=(16, 8, 4, 2, 1), **storage):
    """A file as the original tool writes it."""
    with h5py.File(path, "w") as file:
        for side in sides:
            levels = box_mean(pictures, (side, side))
            file.create_dataset(f"data{side}x{side}", data=levels, **storage)
    return path


@pytest.mark.parametrize("storage", [{}, {"chunks": True}, {"compression": "gzip"}])
def test_levels_are_read_as_stored(tmp_path, pictures, storage):
    data = OldH5Dataset(write(tmp_path / "a.h5", pictures, **storage))
    assert (len(data), data.shape, data.growth.max_depth) == (COUNT, (3, 16, 16), 2)
    order = [5, 0, 5, 2]  # unsorted, with a repetition
    for depth, side in enumerate((4, 8, 16)):
        batch = data.images(order, depth)
        assert batch.dtype == np.uint8
        np.testing.assert_array_equal(batch, box_mean(pictures, (side, side))[order])
    np.testing.assert_array_equal(data.image(6), pictures[6])


def test_the_stored_level_is_what_counts(tmp_path, pictures):
    path = write(tmp_path / "a.h5", pictures)
    with h5py.File(path, "a") as file:
        file["data4x4"][...] = 9
    assert (OldH5Dataset(path).images([0, 1], 0) == 9).all()


def test_a_level_that_is_missing_is_the_mean_of_the_next(tmp_path, pictures):
    data = OldH5Dataset(write(tmp_path / "a.h5", pictures, sides=(16, 4)))
    np.testing.assert_array_equal(data.images([3], 1), box_mean(pictures[3:4], (8, 8)))


def test_resolution_and_max_images(tmp_path, pictures):
    path = write(tmp_path / "a.h5", pictures)
    data = OldH5Dataset(path, max_images=3, resolution=8)
    assert (len(data), data.shape) == (3, (3, 8, 8))
    np.testing.assert_array_equal(data.image(2), box_mean(pictures[2], (8, 8)))
    with pytest.raises(UserError, match="resolution 32; allowed: 16, 8, 4, 2, 1"):
        OldH5Dataset(path, resolution=32)
    with pytest.raises(UserError, match="max_images is 0"):
        OldH5Dataset(path, max_images=0)
    with pytest.raises(IndexError):
        data.images([3], 0)


def test_float16(tmp_path):
    pictures = np.random.default_rng(0).normal(size=(2, 1, 8, 8)).astype(np.float16)
    data = OldH5Dataset(write(tmp_path / "a.h5", pictures, sides=(8, 4)))
    assert data.range_in == (-1, 1)
    assert data.image(1).tobytes() == pictures[1].tobytes()


@pytest.mark.parametrize("name", ["a-labels.npy", "a.h5-labels.npy"])
def test_labels(tmp_path, pictures, name):
    path = write(tmp_path / "a.h5", pictures)
    with pytest.raises(UserError, match="has no labels"):
        OldH5Dataset(path, use_labels=True)
    classes = np.arange(COUNT) % 3
    for labels in (np.eye(COUNT, dtype=np.float32)[classes], classes, classes[:, None].astype(np.float64)):
        np.save(tmp_path / name, labels)
        assert OldH5Dataset(path).label_space is None
        data = OldH5Dataset(path, max_images=4, use_labels=True)
        assert data.label_space.attributes[0].values == ("0", "1", "2")
        assert data.labels.tolist() == [[0], [1], [2], [0]]
    for labels, words in ((classes[:-1], "7 images"), (np.full((COUNT, 4), 0.25), "are not classes")):
        np.save(tmp_path / name, labels)
        with pytest.raises(UserError, match=words):
            OldH5Dataset(path, use_labels=True)
    (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(UserError, match="cannot read the labels"):
        OldH5Dataset(path, use_labels=True)


def test_fingerprint(tmp_path, pictures):
    first = OldH5Dataset(write(tmp_path / "a.h5", pictures)).fingerprint()
    assert first == OldH5Dataset(write(tmp_path / "b.h5", pictures)).fingerprint()
    pictures[3] ^= 1
    assert first != OldH5Dataset(write(tmp_path / "c.h5", pictures)).fingerprint()


@pytest.mark.parametrize("storage", [{}, {"chunks": True}])
def test_it_travels_to_another_process(tmp_path, pictures, storage):
    data = OldH5Dataset(write(tmp_path / "a.h5", pictures, **storage))
    data.image(0)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(data)).image(4), pictures[4])


def test_a_deleted_file_is_still_read(tmp_path, pictures):
    path = write(tmp_path / "a.h5", pictures)
    data = OldH5Dataset(path)
    path.unlink()
    np.testing.assert_array_equal(data.image(1), pictures[1])


class TestErrors:
    def error(self, path, **keywords):
        with pytest.raises(UserError) as caught:
            OldH5Dataset(path, **keywords)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
        return str(caught.value)

    def test_missing(self, tmp_path):
        assert "no file" in self.error(tmp_path / "a.h5")

    def test_not_hdf5(self, tmp_path):
        (tmp_path / "a.h5").write_text("hello")
        assert "not an HDF5 file" in self.error(tmp_path / "a.h5")

    def test_truncated(self, tmp_path, pictures):
        path = write(tmp_path / "a.h5", pictures)
        path.write_bytes(path.read_bytes()[:-3000])
        assert "truncated" in self.error(path)

    def test_no_such_data_sets(self, tmp_path):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["pictures"] = np.zeros((2, 3, 8, 8), np.uint8)
        assert "it has pictures" in self.error(tmp_path / "a.h5")

    @pytest.mark.parametrize(
        ("array", "message"),
        [
            (np.zeros((2, 8, 8), np.uint8), "[N, C, 8, 8]"),
            (np.zeros((2, 3, 4, 4), np.uint8), "[N, C, 8, 8]"),
            (np.zeros((2, 3, 8, 8), np.float64), "float64; allowed: uint8, float16"),
            (np.zeros((0, 3, 8, 8), np.uint8), "empty"),
        ],
    )
    def test_wrong_shapes(self, tmp_path, array, message):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["data8x8"] = array
        assert message in self.error(tmp_path / "a.h5")

    def test_levels_that_differ_in_number(self, tmp_path):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["data8x8"] = np.zeros((2, 3, 8, 8), np.uint8)
            file["data4x4"] = np.zeros((3, 3, 4, 4), np.uint8)
        assert "differ in number" in self.error(tmp_path / "a.h5")

    def test_a_size_that_does_not_halve(self, tmp_path):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["data20x20"] = np.zeros((2, 3, 20, 20), np.uint8)
        with pytest.raises(UserError, match="20x20"):
            OldH5Dataset(tmp_path / "a.h5")


MEASURE = """
import resource, sys
from pathlib import Path
from pggan_framework.data.datasets.h5 import OldH5Dataset
from pggan_framework.data.loader import BatchLoader

def peak():  # kB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

data = OldH5Dataset(Path(sys.argv[1]))
with BatchLoader(data, seed=1) as loader:
    for step in range(20):
        loader.batch(step * 64, data.growth.max_depth, 64)
    before = peak()
    for step in range(20, len(data) // 64):
        loader.batch(step * 64, data.growth.max_depth, 64)
print(len(data), peak() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("chunks", [None, (100, 3, 32, 32)])
def test_memory_stays_flat_on_many_pictures(tmp_path, chunks):
    path = tmp_path / "large.h5"
    count = 25_000 if chunks is None else 8_000  # 77 and 25 MB at 32x32
    with h5py.File(path, "w") as file:
        storage = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        if chunks:
            storage.set_chunk(chunks)
        storage.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        storage.set_fill_time(h5py.h5d.FILL_TIME_NEVER)  # a sparse file, made in no time
        space = h5py.h5s.create_simple((count, 3, 32, 32))
        h5py.h5d.create(file.id, b"data32x32", h5py.h5t.STD_U8LE, space, storage)
    done = subprocess.run([sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True)
    pictures, grown = map(int, done.stdout.split())
    assert pictures == count
    assert grown < 16 * 1024, f"{grown} kB more after reading all images"
