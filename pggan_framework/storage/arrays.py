"""Build NumPy arrays and numbers from the recorded calls of a pickle."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pggan_framework.storage.pickles import Made, Name

_MODULES = tuple(f"numpy.{core}.{part}" for core in ("core", "_core") for part in ("multiarray", "numeric"))
NAMES = frozenset(
    {
        *((module, name) for module in _MODULES for name in ("_reconstruct", "scalar", "_frombuffer")),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("_codecs", "encode"),
    }
)
"""The names that pickles of arrays contain, as (module, attribute)."""


def names_arrays(module: str, attribute: str) -> bool:
    """True if arrays in a pickle need this attribute of this module."""
    return (module, attribute) in NAMES


_TYPES = frozenset({"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"})


def as_array(value: Any) -> NDArray[Any]:
    """Build the NumPy array or number that a pickle describes.

    Raises:
        TypeError: if the value does not describe an array of numbers.
        ValueError: if the data do not fit the shape.
    """
    if isinstance(value, bool | int | float):
        return np.asarray(value)
    if not isinstance(value, Made) or value.by.module not in _MODULES:
        raise TypeError("an array is due")
    if value.by.attribute == "_reconstruct":
        if value.args[0] != Name("numpy", "ndarray"):
            raise TypeError("an array is due")
        shape, kind, fortran, data = value.state[-4:]
    elif value.by.attribute == "_frombuffer":
        data, kind, shape, order = value.args
        fortran = order == "F"
    else:
        kind, data = value.args
        shape, fortran = (), False
    shape = tuple(int(side) for side in shape)
    data, dtype = as_bytes(data), _dtype(kind)
    if len(data) != prod(shape) * dtype.itemsize:
        raise ValueError(f"{len(data)} bytes for an array of {shape}")
    array: NDArray[Any] = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
    return array


def as_number(value: Any) -> float:
    """Build the number that a pickle describes.

    Raises:
        TypeError: if the value does not describe a number.
    """
    array = as_array(value)
    if array.size != 1:
        raise TypeError("a number is due")
    return float(array.item())


def as_bytes(value: Any) -> bytes:
    """Decode bytes, which Python 2 (or Python 3 for Python 2) stores as Latin-1 text.

    Raises:
        TypeError: if the value is neither bytes nor text.
    """
    if isinstance(value, Made) and value.by == Name("_codecs", "encode"):
        value = value.args[0]
    if isinstance(value, str):
        return value.encode("latin-1")
    if not isinstance(value, bytes | bytearray):
        raise TypeError("bytes are due")
    return bytes(value)


def plain(value: Any) -> Any:
    """Convert NumPy numbers in a value to Python numbers; other values are unchanged."""
    if isinstance(value, Made) and value.by.module in _MODULES and value.by.attribute == "scalar":
        return as_array(value).item()
    return value


def _dtype(made: Any) -> np.dtype[Any]:
    if not isinstance(made, Made) or made.by != Name("numpy", "dtype"):
        raise TypeError("a type of numbers is due")
    kind = str(made.args[0])
    order = "=" if made.state is None else made.state[1]
    if kind not in _TYPES or order not in ("<", ">", "|", "="):
        raise TypeError(f"arrays of {kind} are none of numbers")
    return np.dtype(f"{order}{kind}" if kind[1:] != "1" else kind)
