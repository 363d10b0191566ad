"""Parse pickles as data: an interpreter of pickle's opcodes that resolves no name and calls nothing.

A pickle is a program for a small stack machine. Python's own machine imports what the program names and calls it; this
one only records the call. The readers of each format interpret the records.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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


class Made:
    """A recorded call; nothing is called.

    Args:
        by: what was to be called.
        args: what with.
    """

    __slots__ = ("args", "by", "items", "pairs", "state")

    def __init__(self, by: Name, args: tuple[Any, ...]) -> None:
        self.by = by
        self.args = args
        self.state: Any = None
        """What the object was to be given as its state."""
        self.pairs: list[tuple[Any, Any]] = []
        """Entries that were to be set, of an object that is a mapping."""
        self.items: list[Any] = []
        """Elements that were to be added, of an object that is a list or a set."""


Allowed = Callable[[str, str], bool]
"""Whether a format's files name this attribute of this module."""
Persistent = Callable[[Any], Any]
"""What a persistent id stands for."""

_DAMAGE = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, MemoryError, RecursionError)
_HINTS = {
    "dnnlib": "; this is a pickle of StyleGAN, which is another network",
    "torch_utils": "; this is a pickle of StyleGAN, which is another network",
    "__torch__": "; this is a TorchScript program, which holds no layers to take over",
}


def read_pickle(stream: BytesIO, path: Path, allowed: Allowed, persistent: Persistent | None = None) -> Any:
    """Read the next pickle of a stream: plain values, `Name` and `Made`.

    Args:
        stream: it is left behind the pickle's end.
        path: the file, for messages.
        allowed: what the pickle may name.
        persistent: what persistent ids stand for; None where there may be none.

    Raises:
        UserError: if it names something else, uses unsupported opcodes, or is truncated or damaged.
    """
    machine = _Machine(path, allowed, persistent)
    try:
        return machine.run((operation.name, argument) for operation, argument, _ in pickletools.genops(stream))
    except _DAMAGE as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> UserError:
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


class _Machine:
    """Pickle's stack machine; a method for each opcode that may occur, called by its name."""

    def __init__(self, path: Path, allowed: Allowed, persistent: Persistent | None) -> None:
        self.path, self.allowed, self.persistent = path, allowed, persistent
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # the stacks that marks have put aside
        self.memo: dict[int, Any] = {}

    def run(self, operations: Iterator[tuple[str, Any]]) -> Any:
        for name, argument in operations:
            if name == "STOP":
                return self.stack.pop()
            if name in _CONSTANTS:
                self.stack.append(_CONSTANTS[name])
            elif name in _LITERALS:
                self.stack.append(argument)
            else:
                method = getattr(self, f"do_{name.lower()}", None)
                if method is None:
                    raise UserError(
                        f"{self.path} uses pickle's {name}, which no such file needs; nothing in it was run"
                    )
                method(argument)
        raise ValueError("no end")

    def do_proto(self, version: int) -> None:
        if version > 5:
            raise ValueError(f"pickle protocol {version}")

    def do_frame(self, _: int) -> None:
        pass

    # Names and calls ------------------------------------------------------------------------------------------------

    def named(self, module: Any, attribute: Any) -> Name:
        name = Name(str(module), str(attribute))
        if not self.allowed(name.module, name.attribute):
            hint = _HINTS.get(name.module.partition(".")[0], "")
            raise UserError(
                f"{self.path} requests {name}, which no file of a supported system needs; nothing in it was run{hint}"
            )
        return name

    def do_global(self, names: str) -> None:
        module, _, attribute = names.partition(" ")
        self.stack.append(self.named(module, attribute))

    def do_stack_global(self, _: None) -> None:
        attribute, module = self.stack.pop(), self.stack.pop()
        self.stack.append(self.named(module, attribute))

    def do_inst(self, names: str) -> None:
        module, _, attribute = names.partition(" ")
        by = self.named(module, attribute)
        args = tuple(self.marked())
        self.stack.append(Made(by, args))

    def do_obj(self, _: None) -> None:
        by, *args = self.marked()
        self.call(by, tuple(args))

    def do_reduce(self, _: None) -> None:
        args, by = self.stack.pop(), self.stack.pop()
        self.call(by, args)

    do_newobj = do_reduce

    def call(self, by: Any, args: Any) -> None:
        if not isinstance(by, Name) or not isinstance(args, tuple):
            raise UserError(f"{self.path} requests a call of what is not a name; nothing in it was run")
        self.stack.append(Made(by, args))

    def do_build(self, _: None) -> None:
        state = self.stack.pop()
        made = self.stack[-1]
        if not isinstance(made, Made):
            raise UserError(f"{self.path} sets the state of an object it has not created; nothing in it was run")
        made.state = state

    def do_binpersid(self, _: None) -> None:
        if self.persistent is None:
            raise UserError(f"{self.path} refers to something outside itself (BINPERSID); nothing in it was run")
        self.stack.append(self.persistent(self.stack.pop()))

    # Containers -----------------------------------------------------------------------------------------------------

    def marked(self) -> list[Any]:
        """What is above the last mark, taken off."""
        above, self.stack = self.stack, self.below.pop()
        return above

    def do_mark(self, _: None) -> None:
        self.below.append(self.stack)
        self.stack = []

    def do_pop(self, _: None) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.marked()

    def do_pop_mark(self, _: None) -> None:
        self.marked()

    def do_dup(self, _: None) -> None:
        self.stack.append(self.stack[-1])

    def do_empty_list(self, _: None) -> None:
        self.stack.append([])

    def do_empty_dict(self, _: None) -> None:
        self.stack.append({})

    def do_empty_set(self, _: None) -> None:
        self.stack.append(set())

    def do_empty_tuple(self, _: None) -> None:
        self.stack.append(())

    def do_list(self, _: None) -> None:
        above = self.marked()
        self.stack.append(above)

    def do_tuple(self, _: None) -> None:
        above = tuple(self.marked())
        self.stack.append(above)

    def do_dict(self, _: None) -> None:
        flat = self.marked()
        self.stack.append(dict(zip(flat[::2], flat[1::2], strict=True)))

    def do_frozenset(self, _: None) -> None:
        above = frozenset(self.marked())
        self.stack.append(above)

    def top(self, count: int) -> None:
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def do_tuple1(self, _: None) -> None:
        self.top(1)

    def do_tuple2(self, _: None) -> None:
        self.top(2)

    def do_tuple3(self, _: None) -> None:
        self.top(3)

    def do_append(self, _: None) -> None:
        self.extend([self.stack.pop()])

    def do_appends(self, _: None) -> None:
        self.extend(self.marked())

    def extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        (target.items if isinstance(target, Made) else target).extend(items)

    def do_additems(self, _: None) -> None:
        items = self.marked()
        self.stack[-1].update(items)

    def do_setitem(self, _: None) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.update([key, value])

    def do_setitems(self, _: None) -> None:
        self.update(self.marked())

    def update(self, flat: list[Any]) -> None:
        target, pairs = self.stack[-1], zip(flat[::2], flat[1::2], strict=True)
        if isinstance(target, Made):
            target.pairs.extend(pairs)
        else:
            target.update(pairs)

    # The memo -------------------------------------------------------------------------------------------------------

    def do_memoize(self, _: None) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def do_put(self, index: int) -> None:
        self.memo[int(index)] = self.stack[-1]

    do_binput = do_long_binput = do_put

    def do_get(self, index: int) -> None:
        self.stack.append(self.memo[int(index)])

    do_binget = do_long_binget = do_get


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES",
    "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
"""Opcodes whose argument is the value; Python 2's strings come as Latin-1, which keeps each byte."""
