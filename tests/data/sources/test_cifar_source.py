"""CIFAR-10 and CIFAR-100 in all four forms, and pickles that are none of theirs."""

from __future__ import annotations

import os
import pickle
import pickletools
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign import pack, pickle2, python2

from pggan_framework import UserError
from pggan_framework.data.sources.base import LabelChoice
from pggan_framework.data.sources.cifar import CIFARSource
from pggan_framework.data.sources.opening import open_source
from pggan_framework.storage import arrays
from pggan_framework.storage.pickles import read_pickle

PICTURES = np.random.default_rng(0).integers(0, 256, (4, 3072), dtype=np.uint8)
FINE, COARSE = [2, 0, 1, 2], [0, 1, 0, 0]
FINE_NAMES, COARSE_NAMES = ["bee", "cow", "elm"], ["animal", "plant"]


def files(form: str) -> dict[str, bytes]:
    rows = PICTURES.tobytes()
    pixels = [rows[3072 * index : 3072 * (index + 1)] for index in range(4)]
    if form == "cifar-10-batches-py":
        batches = {
            f"data_batch_{number}": {"data": PICTURES[part], "labels": FINE[part], "filenames": ["a.png", "b.png"]}
            for number, part in ((1, slice(2)), (2, slice(2, 4)))
        }
        batches["test_batch"] = {"data": PICTURES[:1], "labels": [1]}
        batches["batches.meta"] = {"label_names": FINE_NAMES}
        return {name: pickle2(value) for name, value in batches.items()}
    if form == "cifar-10-batches-bin":
        whole = [bytes([number]) + data for number, data in zip(FINE, pixels, strict=True)]
        names = "\n".join(FINE_NAMES) + "\n\n"
        return {"data_batch_1.bin": whole[0] + whole[1], "data_batch_2.bin": whole[2] + whole[3]} | {
            "test_batch.bin": whole[0],
            "batches.meta.txt": names.encode(),
        }
    if form == "cifar-100-python":
        train = {"data": PICTURES, "fine_labels": FINE, "coarse_labels": COARSE}
        meta = {"fine_label_names": FINE_NAMES, "coarse_label_names": COARSE_NAMES}
        values = {"train": train, "test": train, "meta": meta}
        return {name: pickle2(value) for name, value in values.items()}
    whole = [bytes([coarse, fine]) + data for coarse, fine, data in zip(COARSE, FINE, pixels, strict=True)]
    names = {"fine_label_names.txt": FINE_NAMES, "coarse_label_names.txt": COARSE_NAMES}
    return {"train.bin": b"".join(whole), "test.bin": whole[0]} | {
        name: "\n".join(words).encode() for name, words in names.items()
    }


def unpacked(path: Path, content: dict[str, bytes]) -> Path:
    path.mkdir()
    for name, data in content.items():
        (path / name).write_bytes(data)
    return path


@pytest.mark.parametrize(
    "form", ["cifar-10-batches-py", "cifar-10-batches-bin", "cifar-100-python", "cifar-100-binary"]
)
def test_the_training_set(tmp_path: Path, form: str) -> None:
    hundred = "100" in form
    choice = LabelChoice(["class", "superclass"] if hundred else ["class"])
    labels = {"class": ["elm", "bee", "cow", "elm"]}
    if hundred:
        labels["superclass"] = ["animal", "plant", "animal", "animal"]
    content = files(form)
    for path in (pack(tmp_path / "any.tar.gz", form, content), unpacked(tmp_path / "any", content)):
        source = open_source(path, choice)
        assert isinstance(source, CIFARSource) and len(source) == 4 and source.one_size == (32, 32)
        assert source.labels == labels
        for index in range(4):
            image = source.read(index)
            expected = PICTURES[index].reshape(3, 32, 32)  # red, green, blue, each row by row
            assert image.mode == "RGB"
            np.testing.assert_array_equal(np.asarray(image)[..., 1], expected[1])
            np.testing.assert_array_equal(np.asarray(image), np.stack(list(expected), axis=-1))
        assert source.described() == {"read from": f"the training set of {form}"}


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, call: Any, *values: Any) -> None:
        self.call, self.values = call, values

    def __reduce__(self) -> Any:
        return self.call, self.values


@pytest.mark.parametrize("name", ["data_batch_2", "batches.meta"])
def test_a_pickle_that_tries_to_run_code(tmp_path: Path, name: str) -> None:
    form, target = "cifar-10-batches-py", tmp_path / "owned"
    for evil in (
        Evil(os.system, f"touch {target}"),
        Evil(eval, f"open({str(target)!r}, 'w')"),
        Evil(os.mkdir, str(target)),
    ):
        content = files(form) | {name: pickle.dumps({b"data": evil}, protocol=2)}
        assert any(op.name == "REDUCE" for op, _, _ in pickletools.genops(content[name]))
        with pytest.raises(UserError, match=rf"{name} requests .*; nothing in it was executed") as caught:
            open_source(pack(tmp_path / "a.tar.gz", form, content))
        assert "\n" not in str(caught.value)
        assert not target.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cnumpy\nload\n(Vevil.npy\ntR.",
        b"cnumpy.core.multiarray\nscalar\n.",
        b"cbuiltins\ngetattr\n.",
        b"cnumpy\ndtype.newbyteorder\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.tofile\x93.",
        b"P17\n.",
        # attributes of what is given in place of a function
        b"cnumpy.core.multiarray\n_reconstruct\n}(V__call__\ncnumpy\ndtype\nub.",
        b"cnumpy.core.multiarray\n_reconstruct\n(N}(V__call__\ncnumpy\ndtype\nutb.",
        # arrays of objects, of another length than their shape, without bytes
        b"\x80\x02" + python2(PICTURES[0]).replace(b"u1", b"O8") + b".",
        b"\x80\x02" + python2(PICTURES[0])[:-40] + b"tb.",
        b"\x80\x02" + python2(PICTURES[0]).replace(b"u1", b"u2")[:-6] + b"tb.",
        b"\x80\x02j\xff\xff\xff\x7f.",
        b"",
        b"\x80\x02}",
        b"not a pickle",
    ],
    ids=range(15),
)
def test_what_is_refused(content: bytes) -> None:
    with pytest.raises((UserError, TypeError, ValueError)):
        arrays.as_array(read_pickle(BytesIO(content), "a", arrays.names_arrays))


@pytest.mark.parametrize("protocol", range(5))
def test_batches_that_python_3_has_pickled(tmp_path: Path, protocol: int) -> None:
    form = "cifar-10-batches-py"
    batch = {b"data": PICTURES, "labels": FINE}
    content = {"data_batch_1": batch, "batches.meta": {b"label_names": [b"bee", "cow", "elm"]}}
    packed = pack(tmp_path / "a.tar.gz", form, {name: pickle.dumps(each, protocol) for name, each in content.items()})
    source = open_source(packed, LabelChoice(["class"]))
    assert source.labels == {"class": ["elm", "bee", "cow", "elm"]}
    np.testing.assert_array_equal(np.asarray(source.read(1))[..., 1].ravel(), PICTURES[1, 1024:2048])


def test_damaged_archives(tmp_path: Path) -> None:
    form = "cifar-10-batches-bin"
    content = files(form)
    whole = pack(tmp_path / "a.tar.gz", form, content)
    (tmp_path / "half.tar.gz").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(UserError, match=r"half\.tar\.gz cannot be read, or is damaged") as caught:
        open_source(tmp_path / "half.tar.gz")
    assert "\n" not in str(caught.value)
    for changed, message in (
        ({"data_batch_1.bin": content["data_batch_1.bin"][:-1]}, "6145 bytes are not a multiple of 3073"),
        ({"data_batch_1.bin": b"\x09" + content["data_batch_1.bin"][1:]}, "the class 9; it names 3"),
    ):
        with pytest.raises(UserError, match=message):
            open_source(pack(tmp_path / "b.tar.gz", form, content | changed))
    del content["batches.meta.txt"]
    with pytest.raises(UserError, match=r"an incomplete cifar-10-batches-bin: there is no batches\.meta\.txt"):
        open_source(pack(tmp_path / "b.tar.gz", form, content))


def test_pickles_without_what_is_due(tmp_path: Path) -> None:
    form = "cifar-10-batches-py"
    whole = files(form)
    for name, value, message in (
        ("data_batch_1", [1], "holds no dict, but a list"),
        ("data_batch_1", {"data": [1], "labels": [1]}, "has no images under 'data'"),
        ("data_batch_1", {"data": PICTURES[:2], "labels": [1]}, "has no labels of its 2 images"),
        ("batches.meta", {"names": ["a"]}, "batches.meta has no label_names"),
    ):
        content = whole | {name: pickle2(value)}
        with pytest.raises(UserError, match=message):
            open_source(pack(tmp_path / "a.tar.gz", form, content))
