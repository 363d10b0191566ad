import errno
import json

import h5py
import numpy as np
import pytest

import pggan_framework.audio
from pggan_framework.data.base import DepthDataset
from pggan_framework.data.datasets.h5 import OldH5Dataset
from pggan_framework.data.store.h5_file import new_h5
from pggan_framework.data.store.prepared import load_prepared, save_prepared
from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import collect


class Toy(DepthDataset):
    labels = None
    fails_at = None

    def __init__(self, shape=(2, 8, 16), dtype=np.uint8, count=11, **keywords):
        super().__init__(shape, **keywords)
        low, high = self.range_in
        self.pictures = np.random.default_rng(0).uniform(low, high, (count, *shape)).astype(dtype)

    def __len__(self):
        return len(self.pictures)

    def image(self, index):
        if index == self.fails_at:
            raise UserError("image 7 is broken")
        return self.pictures[index]

    def fingerprint(self):
        return "0123abc"

    def summary(self):
        return super().summary() | {"skipped": "name " * 30000}  # more than an HDF5 attribute holds


class ToyCodec:
    def __init__(self, state):
        self.state = state

    def state_dict(self):
        return self.state


@pytest.mark.parametrize(
    "keywords",
    [
        {},
        {"dtype": np.float16, "range_in": (-1.5, 2.25)},
        {"seed_shape": (2, 2)},
        {"shape": (1, 32, 8), "seed_shape": (1, 8)},
        {"shape": (1, 4, 4)},
        {"model_dataset_depth_offset": 3},
    ],
)
def test_what_is_loaded_is_what_was_saved(tmp_path, keywords):
    data = Toy(**keywords)
    save_prepared(data, tmp_path / "new" / "a.h5")
    again = load_prepared(tmp_path / "new" / "a.h5", range_out=(0, 1))
    assert again.growth == data.growth
    assert again.range_in == data.range_in and again.range_out == (0, 1)
    assert again.fingerprint() == data.fingerprint()
    assert again.summary()["skipped"] == data.summary()["skipped"]
    assert len(again) == 11 and again.codec is None
    for depth in range(data.growth.max_depth + 1):
        before, after = data.images([3, 10, 3], depth), again.images([3, 10, 3], depth)
        assert before.dtype == after.dtype
        np.testing.assert_array_equal(before, after)


def test_the_layout_is_the_original_tools(tmp_path):
    data = Toy((3, 16, 16))
    save_prepared(data, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        for depth, side in enumerate((4, 8, 16)):
            level = file[f"data{side}x{side}"]
            assert level.shape == (11, 3, side, side) and level.dtype == np.uint8
            assert level.chunks is None and level.id.get_offset() is not None
            np.testing.assert_array_equal(level[:], data.images(range(11), depth))
    assert OldH5Dataset(tmp_path / "a.h5").fingerprint() == "0123abc"


def test_it_is_written_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("pggan_framework.data.store.prepared.CHUNK", 3 * 2 * 8 * 16)
    calls = []
    data = Toy()
    save_prepared(data, tmp_path / "a.h5", progress=lambda *done: calls.append(done))
    assert calls == [(3, 11), (6, 11), (9, 11), (11, 11)]
    np.testing.assert_array_equal(load_prepared(tmp_path / "a.h5").images(range(11), 1), data.pictures)


def test_the_codec_is_restored(tmp_path, monkeypatch):
    monkeypatch.setattr(pggan_framework.audio, "codec_from_state", ToyCodec, raising=False)
    state = {"name": "toy", "n_fft": 64, "mean": [0.1, 1e-300, float(np.float32(0.3))], "log": True}
    data = Toy()
    data.codec = ToyCodec(state)
    save_prepared(data, tmp_path / "a.h5")
    assert load_prepared(tmp_path / "a.h5").codec.state == state


def test_labels_and_a_part_of_the_pictures(tmp_path):
    data = Toy((1, 16, 16))
    data.label_space, data.labels = collect({"number": range(11)})
    save_prepared(data, tmp_path / "a.h5")
    part = OldH5Dataset(tmp_path / "a.h5", max_images=4, resolution=8)
    assert part.labels.tolist() == [[0], [1], [2], [3]]
    assert part.label_space == data.label_space
    assert part.growth.max_depth == 1
    np.testing.assert_array_equal(part.images([2], 1), data.images([2], 1))
    assert part.fingerprint() != data.fingerprint()


def test_a_failure_leaves_the_older_file_and_no_other(tmp_path):
    path = tmp_path / "a.h5"
    save_prepared(Toy(), path)
    before = path.read_bytes()
    broken = Toy()
    broken.fails_at = 7
    with pytest.raises(UserError, match="image 7"):
        save_prepared(broken, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.h5"]


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write .*a\.h5"):
        save_prepared(Toy(), tmp_path / "file" / "a.h5")


def test_other_files(tmp_path):
    path = tmp_path / "a.h5"
    with pytest.raises(UserError, match="no file"):
        load_prepared(path)
    path.write_bytes(b"x")
    with pytest.raises(UserError, match="is not an HDF5 file"):
        load_prepared(path)
    with h5py.File(path, "w") as file:
        file["data8x8"] = np.zeros((1, 1, 8, 8), np.uint8)
    with pytest.raises(UserError, match="OldH5Dataset"):
        load_prepared(path)
    save_prepared(Toy(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="truncated"):
        load_prepared(path)


def test_a_format_of_the_future(tmp_path):
    path = tmp_path / "a.h5"
    save_prepared(Toy(), path)
    with h5py.File(path, "a") as file:
        file.attrs["format_version"] = 99
        assert json.loads(file["pggan_framework"][()])["fingerprint"] == "0123abc"
    with pytest.raises(UserError, match="format 99; this version reads 1"):
        load_prepared(path)


def test_what_hdf5_says_of_a_failing_disk_is_an_error_of_the_disk(tmp_path):
    with pytest.raises(OSError, match="Input/output error") as found, new_h5(tmp_path / "a.h5"):
        raise RuntimeError(
            "Can't decrement id ref count (unable to extend file properly, errno = 5, error message = 'x')"
        )
    assert found.value.errno == errno.EIO and found.value.filename == str(tmp_path / "a.h5")
    with pytest.raises(RuntimeError, match="another"), new_h5(tmp_path / "a.h5"):
        raise RuntimeError("another")
