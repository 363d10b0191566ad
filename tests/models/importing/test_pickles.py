"""No pickle runs anything, whatever it requests and however it is spelt."""

from __future__ import annotations

import copyreg
import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from contextlib import suppress

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pggan_framework.cli.main import main
from pggan_framework.errors import UserError
from pggan_framework.models.importing.detect import read_foreign
from pggan_framework.models.importing.torch_files import LEGACY, as_tensor, read_torch_file
from pggan_framework.storage import arrays
from pggan_framework.storage.pickles import Made, mapping, read_pickle

FLAG = "a_pickle_has_run"


class Calls:
    """What pickles as a call."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


def text(word):
    """A short string of protocol 4."""
    return b"\x8c" + bytes([len(word)]) + word.encode()


HEAD = b"\x80\x04"
COMMAND = text(f"touch {FLAG}")
ATTACKS = {
    "os.system": b"\x80\x02cos\nsystem\nU" + bytes([len(FLAG) + 6]) + f"touch {FLAG}".encode() + b"\x85R.",
    "posix.system": pickle.dumps(Calls(os.system, (f"touch {FLAG}",))),
    "__builtin__.eval": pickle.dumps(Calls(eval, (f"open('{FLAG}', 'w')",)), 0),
    "__builtin__.exec": pickle.dumps(Calls(exec, (f"open('{FLAG}', 'w')",)), 2),
    "builtins.getattr": pickle.dumps([Calls(getattr, ("", "join"))]),
    "subprocess.Popen": HEAD + text("subprocess") + text("Popen") + b"\x93" + COMMAND + b"\x85R.",
    # A name put together on the stack, fetched from the memo.
    "os.popen": HEAD + text("os") + b"\x940" + text("popen") + b"\x940h\x00h\x01\x93" + COMMAND + b"\x85R.",
    "os.execl": b"(S'/bin/touch'\nS'touch'\nS'" + FLAG.encode() + b"'\nios\nexecl\n.",
    "os.remove": b"(cos\nremove\nS'x'\no.",
    "shutil.rmtree": HEAD + text("shutil") + text("rmtree") + b"\x93)\x81.",
    "numpy.core.multiarray.load": b"\x80\x02cnumpy.core.multiarray\nload\n.",
    "numpy.load": pickle.dumps(Calls(np.load, ("x.npy",)), 2),
    "torch.hub.load": b"\x80\x02ctorch.hub\nload\n.",
    "torch._utils._rebuild_tensor_v2": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n.",
    "tfutil.Network.run": HEAD + text("tfutil") + text("Network.run") + b"\x93.",
    "dnnlib.tflib.network.Network": HEAD + text("dnnlib.tflib.network") + text("Network") + b"\x93.",
    "__main__.Network": b"\x80\x02c__main__\nNetwork\n.",
    "EXT1": b"\x80\x02\x82\x01.",
    "NEWOBJ_EX": HEAD + text("tfutil") + text("Network") + b"\x93)}\x92.",
    "EXT4": b"\x80\x02\x84\x01\x00\x00\x00.",
    "PERSID": b"(lPos.system\na.",
    "BINPERSID": b"\x80\x02U\x02osQ.",
    "NEXT_BUFFER": b"\x80\x05\x97.",
}
SENSELESS = [
    b"\x80\x02U\x02os)R.",  # a call of a text
    b"\x80\x02}}b.",  # a state for a dict
    b"\x80\x02ctfutil\nNetwork\n)\x81)R.",  # a call of what was made by a call
    b"\x80\x02ctfutil\nNetwork\n}b.",  # a state for a name
    b"\x80\x05\x96\xff\xff\xff\xff\xff\x00\x00\x00.",  # a terabyte
    b"\x80\x02U\x02os)\x81.",  # an object of the class "os"
]


@pytest.mark.parametrize("name", list(ATTACKS))
def test_a_pickle_that_tries_to_run_something_is_refused(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "network-final.pkl").write_bytes(ATTACKS[name])
    assert main(["import", "network-final.pkl", "out.pt"]) == 2
    out, error = capsys.readouterr()
    assert name in error and "nothing in it was executed" in error and error.count("\n") == 1 and not out
    assert [path.name for path in tmp_path.iterdir()] == ["network-final.pkl"]


@pytest.mark.parametrize("data", SENSELESS)
def test_calls_and_states_of_what_has_none_are_damage(data, tmp_path):
    (tmp_path / "a.pkl").write_bytes(data)
    with pytest.raises(UserError, match="truncated or damaged|not the original PGGAN's"):
        read_foreign(tmp_path / "a.pkl")


def test_the_attacks_are_real(tmp_path, monkeypatch):
    """Python's own reader does what they request."""
    monkeypatch.chdir(tmp_path)
    for name in ("os.system", "__builtin__.eval", "__builtin__.exec", "posix.system"):
        pickle.loads(ATTACKS[name])
        os.remove(FLAG)


def test_a_cached_extension_is_not_used(tmp_path):
    """Python resolves a known extension code without asking find_class."""
    copyreg.add_extension("os", "system", 77)
    try:
        data = b"\x80\x02\x82\x4dX\x04\x00\x00\x00true\x85R."
        assert pickle.loads(data) == 0
        (tmp_path / "a.pkl").write_bytes(data)
        with pytest.raises(UserError, match="EXT1"):
            read_foreign(tmp_path / "a.pkl")
    finally:
        copyreg.remove_extension("os", "system", 77)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", ["posix.system", "builtins.eval"])
def test_files_of_torch_that_try_to(name, zipped, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call = {
        "posix.system": Calls(os.system, (f"touch {FLAG}",)),
        "builtins.eval": Calls(eval, (f"open('{FLAG}', 'w')",)),
    }
    torch.save({"netG": call[name]}, "net.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match=name.replace("builtins", "(builtins|__builtin__)")):
        read_foreign(tmp_path / "net.pt")
    assert not os.path.exists(FLAG)


def test_a_pickle_in_front_of_a_torch_file_is_read_as_strictly(tmp_path):
    """The magic number, version and machine of the old format are pickles too."""
    (tmp_path / "a.dat").write_bytes(LEGACY + ATTACKS["os.system"])
    with pytest.raises(UserError, match=r"os\.system"):
        read_foreign(tmp_path / "a.dat")


def test_a_storage_that_is_not_what_its_tensors_say(tmp_path):
    tensor = torch.arange(6, dtype=torch.float32)
    torch.save({"a": tensor}, tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}

    def rewritten(changes, compression=zipfile.ZIP_STORED):
        with zipfile.ZipFile(tmp_path / "b.pt", "w", compression) as archive:
            for name, data in {**parts, **changes}.items():
                archive.writestr(name, data)
        return tmp_path / "b.pt"

    def first(path):
        return as_tensor(read_torch_file(path, lambda *_: False)["a"])

    assert first(rewritten({})).tolist() == [0, 1, 2, 3, 4, 5]
    pickled = parts["a/data.pkl"]
    longer = pickled.replace(b"K\x06\x85", b"K\x07\x85")
    assert longer != pickled
    with pytest.raises(ValueError, match="exceeds its storage"):
        first(rewritten({"a/data.pkl": longer}))
    with pytest.raises(UserError, match="20 bytes in storage"):
        first(rewritten({"a/data/0": parts["a/data/0"][:20]}))
    with pytest.raises(UserError, match="compressed"):
        first(rewritten({}, zipfile.ZIP_DEFLATED))
    with pytest.raises(UserError, match="big-endian"):
        first(rewritten({"a/byteorder": b"big"}))


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8", "<i4", "|u1", "|b1", ">i8"])
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_arrays_are_what_numpy_makes_of_them(dtype, protocol):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    for form in (array, np.asfortranarray(array), array[:, ::2], array[0, 0, 0]):
        stream = io.BytesIO(pickle.dumps(form, protocol))
        found = arrays.as_array(read_pickle(stream, "a", lambda *name: name in arrays.NAMES))
        np.testing.assert_array_equal(found, form)
        assert found.dtype == form.dtype


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([None]), np.zeros(2, "f4,i4"), np.zeros(2, "M8[s]")])
def test_arrays_of_other_things_are_refused(array):
    stream = io.BytesIO(pickle.dumps(array, 2))
    with pytest.raises((TypeError, ValueError, UserError)):
        arrays.as_array(read_pickle(stream, "a", lambda *name: name in arrays.NAMES))


def test_an_array_shorter_than_its_shape():
    data = pickle.dumps(np.zeros(1000, "f4"), 4)
    stream = io.BytesIO(data.replace(struct.pack("<H", 1000), struct.pack("<H", 1001), 1))
    with pytest.raises(ValueError, match="4000 bytes for an array of"):
        arrays.as_array(read_pickle(stream, "a", lambda *_: True))


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner) | st.frozensets(st.integers())
    ),
    max_leaves=12,
)


@settings(max_examples=50, deadline=None)
@given(plain_values, st.integers(0, 5))
def test_plain_values_are_what_pickle_makes_of_them(value, protocol):
    """Sets of old protocols are calls, which no file of these systems has."""
    value = [value, value]  # an object that occurs twice comes from the memo
    data = pickle.dumps(value, protocol)
    try:
        found = read_pickle(io.BytesIO(data), "a", lambda module, name: name in ("encode", "bytes"))
    except UserError as error:
        assert "frozenset" in str(error) and protocol < 4
        return
    if not (protocol < 3 and (b"_codecs" in data or b"bytes" in data)):
        assert found == pickle.loads(data)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_read(data):
    """Whatever is damaged is a message and no other exception."""
    with suppress(UserError):
        read_pickle(io.BytesIO(HEAD + data), "a", lambda *_: True)


def test_ordered_dicts_old_and_new():
    for protocol in (0, 2, 4):
        made = read_pickle(io.BytesIO(pickle.dumps(OrderedDict(a=1, b=2), protocol)), "a", lambda *_: True)
        assert isinstance(made, Made) and mapping(made) == {"a": 1, "b": 2}
    listed = read_pickle(
        io.BytesIO(b"\x80\x02ccollections\nOrderedDict\n](](U\x01aK\x01ee\x85R."), "a", lambda *_: True
    )
    assert mapping(listed) == {"a": 1}
    with pytest.raises(TypeError):
        mapping([])


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("none.pkl", None, "does not exist; allowed: network-"),
        ("text.pkl", b"hello there", "not a model file of a supported system"),
        ("empty.pkl", b"", "not a model file of a supported system"),
        ("list.pkl", pickle.dumps([1, 2]), "not the original PGGAN's"),
        ("numbers.pkl", pickle.dumps((1, 2, 3)), "not the original PGGAN's"),
        ("half.pkl", pickle.dumps(list(range(1000)))[:50], "truncated or damaged"),
        ("zip.pt", b"PK\x03\x04nothing", "truncated or damaged"),
        ("new.pkl", b"\x80\x09.", "truncated or damaged"),
    ],
)
def test_other_files(name, data, message, tmp_path):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=message):
        read_foreign(tmp_path / name)


def test_a_zip_of_something_else(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", "hello")
    with pytest.raises(UserError, match="a zip, but not one of torch.save"):
        read_foreign(tmp_path / "a.zip")
