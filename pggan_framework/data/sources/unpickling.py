"""Reads pickles of plain values and arrays of numbers, and runs no code of theirs."""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALLOWED = "dicts, lists, tuples, numbers, texts, bytes and NumPy arrays of numbers"
KINDS = "biuf"
"""NumPy's letters for the types of numbers; an array of objects would hold more pickles."""


def unpickle(content: bytes) -> Any:
    """What a pickle holds, where it is nothing but `ALLOWED`; texts of Python 2 are bytes.

    A pickle is a program that may call any function it names. Here each name leads to a stand-in of ours, or nowhere.

    Raises:
        ValueError: if it is damaged, or names a function or a class that is not needed for such values.
    """
    try:
        return _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except _RefusedError as error:
        raise ValueError(f"it wants to run {error}; allowed are {ALLOWED}, and nothing of it was run") from error
    # What a damaged pickle raises depends on where the bytes stop making sense.
    except (
        MemoryError,  # of a place in a list of billions that is not there
        pickle.UnpicklingError,
        EOFError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        OverflowError,
    ) as error:
        raise ValueError(f"it is not a pickle of {ALLOWED}, or is damaged: {error or type(error).__name__}") from error


class _RefusedError(Exception):
    """A name that is not allowed."""


class _Type:
    """Stands for ``numpy.dtype``: takes the letters and the byte order, and makes the real one if they are numbers."""

    def __init__(self, letters: bytes | str = "", *_: Any) -> None:
        self.letters = letters.decode("ascii") if isinstance(letters, bytes) else str(letters)

    def __setstate__(self, state: Any) -> None:
        order = state[1].decode("ascii") if isinstance(state[1], bytes) else str(state[1])
        self.letters = order.replace("|", "") + self.letters.lstrip("<>|=")

    def dtype(self) -> np.dtype[Any]:
        """NumPy's own."""
        found = np.dtype(self.letters)
        if found.kind not in KINDS:
            raise ValueError(f"an array of {self.letters}")
        return found


class _Array:
    """Stands for ``numpy.ndarray``: an array once its shape, type and bytes are there."""

    values: NDArray[Any]

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, content = state
        content = content.encode("latin1") if isinstance(content, str) else content
        if not isinstance(kind, _Type) or not isinstance(content, bytes):
            raise ValueError("an array without numbers")
        sides = tuple(int(side) for side in shape)
        self.values = np.frombuffer(content, kind.dtype()).reshape(sides, order="F" if fortran else "C")


class _Reconstruct:
    """Stands for the function that makes an empty array, to be filled."""

    __slots__ = ()  # a pickle may set attributes of what it is given

    def __call__(self, *_: Any) -> _Array:
        """An empty array, whatever its class is said to be."""
        return _Array()


class _Encode:
    """Stands for ``_codecs.encode``, by which the older protocols of Python 3 make bytes out of text."""

    __slots__ = ()

    def __call__(self, text: str, encoding: str = "latin1") -> bytes:
        """The bytes."""
        if encoding not in ("latin1", b"latin1"):
            raise ValueError("bytes in another encoding than latin1")
        return text.encode("latin1")


class _Unpickler(pickle.Unpickler):
    """One that knows a few names only."""

    NAMES = {
        **{(f"numpy.{core}.multiarray", "_reconstruct"): _Reconstruct() for core in ("core", "_core")},
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Type,
        ("_codecs", "encode"): _Encode(),
    }

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for what a pickle names."""
        if (module, name) not in self.NAMES:
            raise _RefusedError(f"{module}.{name}")
        return self.NAMES[module, name]

    def persistent_load(self, identifier: Any) -> Any:
        """Pickles that lean on something outside are none of ours."""
        raise _RefusedError("what is not in it")
