"""Pickles as data: a reader that looks no name up and calls nothing that a pickle names.

A pickle is a program for a small stack machine. Python's own machine imports what the program names and calls it; here
each name is a `Name`, and calling that gives a `Made`, which only records the call. What it means is for the readers of
each format to say.
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
    """A module's attribute that a pickle names; it is never looked up.

    Args:
        module: the module's name.
        attribute: the attribute's name.
    """

    module: str
    attribute: str

    def __str__(self) -> str:
        return f"{self.module}.{self.attribute}"

    def __call__(self, *args: Any) -> Made:
        """Record a call by the pickle."""
        return Made(self, args)


class Made:
    """What a call that the pickle requests would have made; nothing is called.

    Args:
        by: what was to be called.
        args: what with.
    """

    __slots__ = ("add", "append", "args", "by", "extend", "items", "pairs", "state")

    def __init__(self, by: Name, args: tuple[Any, ...]) -> None:
        self.by = by
        self.args = args
        self.state: Any = None
        """What the object was to be given as its state."""
        self.pairs: list[tuple[Any, Any]] = []
        """Entries that were to be set, of an object that is a mapping."""
        self.items: list[Any] = []
        """Elements that were to be added, of an object that is a list or a set."""
        self.append = self.add = self.items.append
        self.extend = self.items.extend

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.pairs.append((key, value))


Allowed = Callable[[str, str], bool]
"""Whether a format's files name this attribute of this module."""
Persistent = Callable[[Any], Any]
"""What a persistent id stands for."""

# What a damaged pickle raises depends on where the bytes stop making sense.
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
    """Read the next pickle of a stream: plain values, `Name` and `Made`; texts of Python 2 as Latin-1.

    Args:
        stream: it is left behind the pickle's end.
        path: the file, for messages.
        allowed: what the pickle may name.
        persistent: what persistent ids stand for; None where there may be none.

    Raises:
        UserError: if it names something else, requests what this reader does not do, or is cut short or damaged.
    """
    try:
        return _Reader(stream, path, allowed, persistent).load()
    except _DAMAGE as error:
        raise damaged(path, error) from error


def damaged(path: Path | str, error: Exception) -> UserError:
    """The message for a file that cannot be made sense of."""
    return UserError(f"{path} is cut short or damaged ({str(error)[:100] or type(error).__name__})")


def mapping(value: Any) -> dict[Any, Any]:
    """A dict, or what an OrderedDict would have held.

    Raises:
        TypeError: if it is neither.
    """
    if isinstance(value, dict):
        return value
    if not isinstance(value, Made) or value.by != Name("collections", "OrderedDict"):
        raise TypeError("a mapping is due")
    return dict([*(tuple(pair) for pair in (value.args[0] if value.args else ())), *value.pairs])


_REFUSED = ("EXT1", "EXT2", "EXT4", "PERSID", "NEWOBJ_EX", "NEXT_BUFFER", "READONLY_BUFFER")
"""Opcodes that no such file needs: EXT finds functions without asking find_class."""


def _refuse(name: str, reader: _Reader) -> None:
    raise UserError(f"{reader.path} uses pickle's {name}, which no such file needs; nothing in it was run")


class _Reader(pickle._Unpickler):
    """Python's machine as it is written in Python: the one in C resolves known extension codes by itself."""

    _LOAD = pickle._Unpickler.dispatch
    dispatch = {
        **_LOAD,
        pickle.NEWOBJ[0]: _LOAD[pickle.REDUCE[0]],  # a name's `__new__` would be that of `Name`
        pickle.BYTEARRAY8[0]: _LOAD[pickle.BINBYTES8[0]],  # allocates no more than there is
        **{getattr(pickle, name)[0]: partial(_refuse, name) for name in _REFUSED},
    }

    def __init__(self, stream: BytesIO, path: Path | str, allowed: Allowed, persistent: Persistent | None) -> None:
        super().__init__(stream, encoding="latin1")
        self.path, self.allowed, self.persistent = path, allowed, persistent

    def find_class(self, module: str, attribute: str) -> Name:
        """The name alone, where the format's files have it."""
        name = Name(module, attribute)
        if not self.allowed(module, attribute):
            hint = _HINTS.get(module.partition(".")[0], "")
            raise UserError(
                f"{self.path} requests {name}, which no file of a system known here needs; nothing in it was run{hint}"
            )
        return name

    def persistent_load(self, identifier: Any) -> Any:
        """What the format says of something outside the pickle."""
        if self.persistent is None:
            raise UserError(f"{self.path} refers to something outside itself (BINPERSID); nothing in it was run")
        return self.persistent(identifier)
