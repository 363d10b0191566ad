"""Convert a value from a file, the command line or Python to the annotated type of its parameter."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from pggan_framework.config.text import dump_line, is_clock, load_value, load_words, whole_numbers
from pggan_framework.errors import UserError

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

_SCALARS = (int, float, bool, str, Path, Any, type(None))
_EXACT = (bool, int, float)
_LISTS = (list, tuple, Sequence, Iterable)
_DICTS = (dict, Mapping)
_TO_BRACKETS = str.maketrans("()", "[]")


def members(kind: Any) -> tuple[Any, ...]:
    """Return the possible types of a value: the members of a union, else the type itself."""
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def leaves(kind: Any) -> set[Any]:
    """Return the scalar types in a type: int and float for ``dict[int, list[float]]``."""
    arguments = () if get_origin(kind) is Literal else get_args(kind)
    return set[Any]().union(*map(leaves, arguments)) if arguments else {kind}


def is_flag_type(kind: Any) -> bool:
    """True if values of this type can be given on a command line."""
    origin = get_origin(kind)
    if origin is Literal:
        return True
    if origin in (Union, types.UnionType, *_LISTS, *_DICTS):
        return all(argument is ... or is_flag_type(argument) for argument in get_args(kind))
    return kind in (*_SCALARS, *_LISTS, *_DICTS)


def describe(kind: Any) -> str:
    """Describe a type: ``int``, ``one of a, b``, ``dict[int, int]``, ``float or None``."""
    if kind is type(None):
        return "None"
    if kind is ...:
        return "..."
    if kind is Any:
        return "any value"
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin in (Union, types.UnionType):
        return " or ".join(map(describe, arguments))
    if origin is not None:
        return f"{origin.__name__}[{', '.join(map(describe, arguments))}]"
    return str(getattr(kind, "__name__", kind))


def convert(value: Any, kind: Any, where: str, text: bool = False) -> Any:
    """Convert `value` to `kind`.

    Args:
        value: text from a command line, or a value from YAML or Python.
        kind: annotated type of the parameter.
        where: name of the parameter as typed by the user, for the message.
        text: True if `value` is text from a command line, where ``None`` and ``null`` mean None.

    Raises:
        UserError: if `value` cannot be converted.
    """
    allowed = members(kind)
    if isinstance(value, str):
        if text and value in ("None", "null") and (type(None) in allowed or kind is Any):
            return None
        value, done = _read(value, allowed, text)
        if done:
            return value
    kinds = leaves(kind)
    if int in kinds and not kinds & {float, str, Any}:
        value = whole_numbers(value)
    if isinstance(value, str) and is_clock(value) and not kinds & {str, Path, Any}:
        raise _wrong(value, kind, where)
    if kind is Any or (value is None and type(None) in allowed):
        return value
    if value is None:
        raise _wrong(value, kind, where)
    if type(value) in _EXACT and all(member in (type(value), type(None)) for member in allowed):
        return value  # the common case: skips the parser, which is slow and would return it unchanged
    from jsonargparse import ArgumentError

    parser = _parser(kind)
    try:
        return parser.parse_object({"value": _plain(value)}).value
    except ArgumentError as error:
        raise _wrong(value, kind, where) from error


def merge(current: Any, key: str, value: Any, kind: Any, where: str, text: bool = False) -> Any:
    """Set one key of a dict, or one index of a list, in a copy of `current`.

    Raises:
        UserError: if `kind` has no keys, or the key or the value has the wrong type.
    """
    for member in members(kind):
        origin, arguments = get_origin(member) or member, get_args(member)
        if origin in _DICTS:
            key_kind, value_kind = arguments or (Any, Any)
            return {**(current or {}), convert(key, key_kind, where, True): convert(value, value_kind, where, text)}
        if origin in _LISTS:
            items, position = list(current or ()), convert(key, int, where, True)
            fixed = origin is tuple and bool(arguments) and arguments[-1] is not ...
            if not 0 <= position < len(items) + (not fixed):
                raise UserError(f"{where}: there is no position {position}; it has {len(items)}, counted from 0")
            item_kind = arguments[position if fixed else 0] if arguments else Any
            items[position:] = [convert(value, item_kind, where, text), *items[position + 1 :]]
            return convert(items, kind, where)
    raise UserError(f"{where}: a value of type {describe(kind)} has no key '{key}'")


def plain(value: Any) -> Any:
    """Convert `value` to YAML's types: tuples become lists, paths text, mappings dicts."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _read(value: str, allowed: tuple[Any, ...], text: bool) -> tuple[Any, bool]:
    """Parse text as one of the allowed types; the second item is False if nothing is left to convert."""
    others = tuple(member for member in allowed if member not in (str, type(None)))
    if any(get_origin(member) is Literal and value in get_args(member) for member in allowed):
        return value, True
    if str in allowed:
        if text and others:
            try:
                return convert(value, Union[others], ""), True  # noqa: UP007 (built at run time)
            except UserError:
                pass
        return value, True
    if Any in allowed:
        return (load_value(value) if text else value), True
    if Path in allowed:
        return Path(value), True
    lists = [member for member in others if (get_origin(member) or member) in _LISTS]
    opened = value.lstrip()[:1] in ("[", "(", "{")
    if lists:
        alone = load_value(value)
        if len(lists) < len(others) and isinstance(alone, bool | int | float):
            return alone, False  # e.g. 64 if an int or a pair is allowed
        listed = value.strip() if opened else f"[{value}]"
        if all(set(get_args(member)) <= {str, ...} for member in lists):
            return load_words(f"[{listed[1:-1]}]" if listed.startswith("(") and listed.endswith(")") else listed), False
        return load_value(listed.translate(_TO_BRACKETS)), False
    return load_value(value.translate(_TO_BRACKETS) if opened else value), False


def _plain(value: Any) -> Any:
    """Convert like `plain`, but keep paths, which the parser accepts unchanged."""
    return value if isinstance(value, Path) else plain(value)


def _wrong(value: Any, kind: Any, where: str) -> UserError:
    try:
        shown = dump_line(plain(value))
    except Exception:  # a Python object that YAML cannot represent
        shown = repr(value)
    hint = "; put it in quotes" if str in members(kind) and isinstance(value, int | float) else ""
    return UserError(f"{where}: {shown} is not of type {describe(kind)}{hint}")


@cache
def _parser(kind: Any) -> ArgumentParser:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--value", type=kind)
    return parser
