"""Parse ``torch.save`` files, including complete modules, as data: tensors, plain values, fields of modules."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pggan_framework.errors import UserError
from pggan_framework.storage import arrays
from pggan_framework.storage.pickles import Allowed, Made, Name, damaged, mapping, read_pickle
from pggan_framework.storage.zips import RAISED

LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""First bytes of a file written by torch before 1.6: a pickle of a magic number."""
ZIP = b"PK\x03\x04"
"""First bytes of a file written by torch 1.6 or later."""
_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_NAMES = arrays.NAMES | {
    ("collections", "OrderedDict"),
    ("builtins", "set"),
    ("__builtin__", "set"),
    ("torch", "Size"),
    ("torch._utils", "_rebuild_tensor"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
    ("torch.nn.parameter", "Parameter"),
    ("torch.nn.backends.thnn", "_get_thnn_function_backend"),
    *((module, storage) for module in ("torch", "torch.cuda") for storage in _STORAGES),
}


class Storage:
    """The numbers that one or more tensors of a file use; they are read when needed.

    Args:
        dtype: dtype of the numbers.
        count: number of numbers.
        read: function that returns their bytes.
    """

    __slots__ = ("count", "dtype", "read")

    def __init__(self, dtype: torch.dtype, count: int, read: Callable[[], bytes]) -> None:
        self.dtype, self.count, self.read = dtype, count, read


def read_torch_file(path: Path, allowed: Allowed) -> Any:
    """Read the object in a file of ``torch.save``; everything except plain values is a `Made`.

    Args:
        path: path of the file.
        allowed: predicate of allowed classes, in addition to those of tensors, numbers and mappings.

    Raises:
        UserError: if the file names other classes, is truncated or damaged, or cannot be read.
    """

    def known(module: str, attribute: str) -> bool:
        return (module, attribute) in _NAMES or allowed(module, attribute)

    try:
        data = path.read_bytes()
        return _read_zip(path, data, known) if data.startswith(ZIP) else _read_legacy(path, data, known)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (*RAISED, TypeError) as error:
        raise damaged(path, error) from error


def _read_zip(path: Path, data: bytes, allowed: Allowed) -> Any:
    """Read a file of torch 1.6 or later: a zip with a pickle and the uncompressed storages."""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        roots = [name.removesuffix("data.pkl") for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(roots) != 1:
            raise UserError(f"{path} is a zip, but not one of torch.save")
        (root,) = roots

        def entry(name: str) -> bytes:
            if archive.getinfo(root + name).compress_type != zipfile.ZIP_STORED:
                raise ValueError("compressed, which torch.save does not do")
            return archive.read(root + name)

        if f"{root}byteorder" in archive.namelist() and entry("byteorder") != b"little":
            raise UserError(f"{path} was written on a big-endian machine; allowed: little-endian")

        def storage(key: str, size: int) -> Callable[[], bytes]:
            content = entry(f"data/{key}")
            if len(content) != size:
                raise ValueError(f"{len(content)} bytes in storage {key}, expected {size}")
            return lambda: content

        return read_pickle(BytesIO(entry("data.pkl")), path, allowed, _persistent(storage))


def _read_legacy(path: Path, data: bytes, allowed: Allowed) -> Any:
    """Read a file of torch before 1.6.

    It contains pickles of a magic number, a version, the machine, the object and the names of the storages, followed by
    the storages, each preceded by its length.
    """
    stream = BytesIO(data)

    def nothing(module: str, attribute: str) -> bool:
        return False

    read_pickle(stream, path, nothing)
    version, machine = read_pickle(stream, path, nothing), read_pickle(stream, path, nothing)
    if version != 1001 or not machine["little_endian"]:
        raise UserError(f"{path} is of torch's file version {version}, or of a big-endian machine, which are not read")
    sizes: dict[str, int] = {}
    places: dict[str, int] = {}

    def storage(key: str, size: int) -> Callable[[], bytes]:
        sizes[key] = size
        return lambda: data[places[key] : places[key] + sizes[key]]

    found = read_pickle(stream, path, allowed, _persistent(storage))
    at = None
    for key in read_pickle(stream, path, nothing):
        at = (stream.tell() if at is None else at) + 8
        places[key] = at
        at += sizes[key]
        if at > len(data):
            raise ValueError(f"storage {key} is incomplete")
    return found


def _persistent(storage: Callable[[str, int], Callable[[], bytes]]) -> Callable[[Any], Any]:
    """Resolve torch's persistent ids: storages, and classes with their source code, which is ignored."""
    if sys.byteorder != "little":
        raise UserError("files of torch.save are read on little-endian machines only")
    known: dict[str, Storage] = {}

    def resolve(pid: Any) -> Any:
        if pid[0] == "module":
            return pid[1]
        kind, which, key, _, count, *view = pid
        if kind != "storage" or not isinstance(which, Name) or any(part is not None for part in view):
            raise ValueError(f"a reference to a {kind}")
        if key not in known:
            dtype = _STORAGES[which.attribute]
            count = int(count)
            known[key] = Storage(dtype, count, storage(key, count * dtype.itemsize))
        return known[key]

    return resolve


def as_tensor(value: Any) -> Tensor:
    """Build the tensor or parameter, in float64, that a file describes.

    Raises:
        TypeError: if the value does not describe a tensor.
        ValueError: if the tensor exceeds its storage.
    """
    while isinstance(value, Made) and value.by.attribute in ("_rebuild_parameter", "Parameter"):
        value = value.args[0]
    if not isinstance(value, Made) or value.by.attribute not in ("_rebuild_tensor", "_rebuild_tensor_v2"):
        raise TypeError("expected a tensor")
    storage, offset, size, stride = value.args[:4]
    if not isinstance(storage, Storage):
        raise TypeError("expected a tensor")
    size, stride = _sides(size), _sides(stride)
    last = int(offset) + sum((side - 1) * step for side, step in zip(size, stride, strict=True))
    if min((int(offset), *size, *stride)) < 0 or (0 not in size and last >= storage.count):
        raise ValueError("a tensor that exceeds its storage")
    if not storage.count:
        return torch.zeros(size, dtype=torch.float64)
    numbers = torch.frombuffer(bytearray(storage.read()), dtype=storage.dtype)
    return numbers.as_strided(size, stride, int(offset)).to(torch.float64, copy=True)


def as_number(value: Any) -> float:
    """Convert a Python number, a NumPy number or a tensor with one element to a number.

    Raises:
        TypeError: if the value is none of these.
    """
    if isinstance(value, Made) and value.by.module.startswith("torch"):
        tensor = as_tensor(value)
        if tensor.numel() != 1:
            raise TypeError("expected a number")
        return float(np.float64(tensor.item()))
    return arrays.as_number(value)


def fields_of(value: Any, *names: str) -> dict[Any, Any]:
    """The fields of a module of one of these classes, including its parameters and modules by name.

    Raises:
        TypeError: if the value is not a module of one of these classes.
    """
    if not isinstance(value, Made) or value.by.attribute not in names or not isinstance(value.state, dict):
        raise TypeError(f"expected a {' or '.join(names)}")
    parts = [mapping(value.state.get(part, {})) for part in ("_parameters", "_buffers", "_modules")]
    return {**value.state, **parts[0], **parts[1], **parts[2]}


def _sides(value: Any) -> tuple[int, ...]:
    """The size or the stride of a tensor."""
    if isinstance(value, Made) and value.by == Name("torch", "Size"):
        value = value.args[0]
    return tuple(int(side) for side in value)


def keys(value: Any) -> list[Any]:
    """The keys of a mapping; empty for other values."""
    try:
        return list(mapping(value))
    except TypeError:
        return []
