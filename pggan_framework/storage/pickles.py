"""Read pickles as data, without importing or calling the names in a pickle.

A pickle is a program for a small stack machine. Python's own machine imports and calls the names in the program. Here,
each name becomes a `Name`, and calling it returns a `Made`, which only records the call. The reader of each format
interprets these records.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from pggan_framework.errors import UserError


@dataclass(frozen=True)
class Name:
    """A module attribute that a pickle names; it is never imported.

    Args:
        module: name of the module.
        attribute: name of the attribute.
    """

    module: str
    attribute: str

    def __str__(self) -> str:
        return f"{self.module}.{self.attribute}"

    def __call__(self, *args: Any) -> Made:
        """Record a call by the pickle."""
        return Made(self, args)


class Made:
    """A recorded call in a pickle, which is never executed.

    Args:
        by: called object.
        args: arguments of the call.
    """

    __slots__ = ("add", "append", "args", "by", "extend", "items", "pairs", "state")

    def __init__(self, by: Name, args: tuple[Any, ...]) -> None:
        self.by = by
        self.args = args
        self.state: Any = None
        """The state that the pickle sets."""
        self.pairs: list[tuple[Any, Any]] = []
        """Entries that the pickle sets, for a mapping."""
        self.items: list[Any] = []
        """Elements that the pickle appends, for a list or a set."""
        self.append = self.add = self.items.append
        self.extend = self.items.extend

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.pairs.append((key, value))


Allowed = Callable[[str, str], bool]
"""Predicate that is True if files of a format may name this attribute of this module."""
Persistent = Callable[[Any], Any]
"""Resolves a persistent id."""

# The type of exception that a damaged pickle raises depends on the position of the damage.
_DAMAGE = (
    ValueError, TypeError, LookupError, AttributeError, OverflowError, MemoryError, RecursionError, EOFError,
    struct.error, pickle.UnpicklingError,
)  # fmt: skip
_HINTS = {
    "dnnlib": "; this is a pickle of StyleGAN, which is another network",
    "torch_utils": "; this is a pickle of StyleGAN, which is another network",
    "__torch__": "; this is a TorchScript program, which holds no layers to take over",
}


def read_pickle(stream: BytesIO, path: Path | str, allowed: Allowed, persistent: Persistent | None = None) -> Any:
    """Read the next pickle of a stream as plain values, `Name` and `Made`; Python 2 texts are decoded as Latin-1.

    Args:
        stream: stream to read; after the call, its position is after the pickle.
        path: path of the file, for messages.
        allowed: predicate of allowed names.
        persistent: function that resolves persistent ids; None if they are not allowed.

    Raises:
        UserError: if the pickle contains other names, needs an unsupported operation, or is truncated or damaged.
    """
    try:
        return _Reader(stream, path, allowed, persistent).load()
    except _DAMAGE as error:
        raise damaged(path, error) from error


def damaged(path: Path | str, error: Exception) -> UserError:
    """The message for a file that cannot be interpreted."""
    return UserError(f"{path} is truncated or damaged ({str(error)[:100] or type(error).__name__})")


def mapping(value: Any) -> dict[Any, Any]:
    """Convert a dict or a recorded OrderedDict to a dict.

    Raises:
        TypeError: if the value is neither.
    """
    if isinstance(value, dict):
        return value
    if not isinstance(value, Made) or value.by != Name("collections", "OrderedDict"):
        raise TypeError("a mapping is due")
    return dict([*(tuple(pair) for pair in (value.args[0] if value.args else ())), *value.pairs])


_REFUSED = ("EXT1", "EXT2", "EXT4", "PERSID", "NEWOBJ_EX", "NEXT_BUFFER", "READONLY_BUFFER")
"""Rejected opcodes, which these files do not need; EXT opcodes find functions without calling find_class."""


def _refuse(name: str, reader: _Reader) -> None:
    raise UserError(f"{reader.path} uses pickle's {name}, which such files do not need; nothing in it was executed")


class _Reader(pickle._Unpickler):
    """Python's unpickler in pure Python; the C version resolves known extension codes itself."""

    _LOAD = pickle._Unpickler.dispatch
    dispatch = {
        **_LOAD,
        pickle.NEWOBJ[0]: _LOAD[pickle.REDUCE[0]],  # otherwise, it would call `Name.__new__`
        pickle.BYTEARRAY8[0]: _LOAD[pickle.BINBYTES8[0]],  # allocates at most the size of the file
        **{getattr(pickle, name)[0]: partial(_refuse, name) for name in _REFUSED},
    }

    def __init__(self, stream: BytesIO, path: Path | str, allowed: Allowed, persistent: Persistent | None) -> None:
        super().__init__(stream, encoding="latin1")
        self.path, self.allowed, self.persistent = path, allowed, persistent

    def find_class(self, module: str, attribute: str) -> Name:
        """Return the name as a `Name`, if the format allows it."""
        name = Name(module, attribute)
        if not self.allowed(module, attribute):
            hint = _HINTS.get(module.partition(".")[0], "")
            raise UserError(
                f"{self.path} requests {name}, which files of supported systems do not need;"
                f" nothing in it was executed{hint}"
            )
        return name

    def persistent_load(self, identifier: Any) -> Any:
        """Resolve an object outside the pickle."""
        if self.persistent is None:
            raise UserError(f"{self.path} refers to an object outside the file (BINPERSID); nothing in it was executed")
        return self.persistent(identifier)
