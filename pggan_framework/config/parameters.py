"""The flags of a class: constructor parameters with type, default and help, including inherited ones."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache, cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional, get_type_hints

from pggan_framework.config.convert import convert, describe, is_flag_type, members
from pggan_framework.errors import UserError

REQUIRED = inspect.Parameter.empty
"""Marks parameters without a default."""


@dataclass(frozen=True)
class Parameter:
    """One flag of a class.

    Args:
        name: name in the constructor.
        kind: type of the parameter.
        default: default value, or `REQUIRED`.
        help: description in the docstring.
    """

    name: str
    kind: Any
    default: Any
    help: str

    @property
    def required(self) -> bool:
        """True if the parameter has no default."""
        return self.default is REQUIRED

    @cached_property
    def converted(self) -> Any:
        """The default in the annotated type if possible: 3 for a float is 3.0. Do not modify it."""
        try:
            return convert(deepcopy(self.default), self.kind, self.name)
        except UserError:
            return self.default


def injected(cls: type) -> set[str]:
    """Return the constructor parameters passed by the run, which are not flags: `injected` of `cls` and its bases."""
    return {name for base in cls.__mro__ for name in vars(base).get("injected", ())}


@cache
def parameters(cls: type, name: str | None = None) -> Mapping[str, Parameter]:
    """Return the flags of `cls`, registered as `name`: the parameters of its constructor, then the inherited ones.

    A constructor with ``**kwargs`` also has the parameters of its base, except those that it passes explicitly.

    Raises:
        UserError: if the type of a parameter is not supported on a command line, or its annotation cannot be resolved.
    """
    name = name or cls.__name__
    hidden = injected(cls)
    helps = _helps(cls)
    found: dict[str, Parameter] = {}
    positional = 0
    for base in cls.__mro__:
        init = vars(base).get("__init__")
        if init is None or base is object or not callable(init):
            continue
        signature = list(inspect.signature(init).parameters.values())[1:]
        named = [p for p in signature if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        hidden |= {p.name for p in named[:positional]}
        for parameter in named:
            if parameter.name not in hidden:
                flag = _parameter(parameter, base, name, helps.get(parameter.name, ""))
                if flag is not None:
                    found.setdefault(flag.name, flag)
        rest = next((p.name for p in signature if p.kind is p.VAR_KEYWORD), None)
        if rest is None:
            break
        passed, positional = _passed_on(init, rest)
        hidden |= passed | set(found)
    return found


def default_of(parameter: Parameter) -> Any:
    """Return a copy of the parameter's default, in its annotated type if possible: 3 for a float is 3.0."""
    return deepcopy(parameter.converted)


def _parameter(parameter: inspect.Parameter, base: type, name: str, text: str) -> Parameter | None:
    """Return the flag of a parameter; None if it is optional and a command line does not support its type."""
    where = f"{name}.{parameter.name} in {base.__module__}"
    default = _default(parameter, base)
    kind = _annotation(parameter, base, where, default)
    if default is None and kind is not Any and type(None) not in members(kind):
        kind = Optional[kind]  # noqa: UP045 (a type built at run time)
    if is_flag_type(kind):
        return Parameter(parameter.name, kind, default, text)
    if default is not REQUIRED:
        return None
    raise UserError(
        f"{where} is of type {describe(kind)}, which a flag cannot have; allowed: int, float, bool, str, Path,"
        " Literal, tuple, list and dict of these, or a default"
    )


def _default(parameter: inspect.Parameter, base: type) -> Any:
    if is_dataclass(base):
        field = next((f for f in fields(base) if f.name == parameter.name), None)
        if field is not None and field.default_factory is not MISSING:
            return field.default_factory()
    return parameter.default


def _annotation(parameter: inspect.Parameter, base: type, where: str, default: Any) -> Any:
    """Return the type of a parameter; without an annotation, the type of its default."""
    if parameter.annotation is inspect.Parameter.empty:
        simple = isinstance(default, int | float | str | Path | list | tuple | dict)
        return type(default) if simple else Any
    holder = SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    try:
        return get_type_hints(holder, vars(sys.modules[base.__module__]))[parameter.name]
    except (NameError, SyntaxError, TypeError, AttributeError) as error:
        if default is not REQUIRED:
            return object  # a type known only to the type checker; with a default, it need not be a flag
        raise UserError(
            f"{where}: its annotation '{parameter.annotation}' is not known at run time ({error})"
        ) from error


def _passed_on(init: Callable[..., Any], rest: str) -> tuple[set[str], int]:
    """Return what `init` passes to its base with ``**rest``: keyword names and the number of positional arguments.

    If there is no source code, as for a dataclass, no arguments are assumed.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(init)))
    except (OSError, TypeError, SyntaxError):
        return set(), 0
    for call in ast.walk(tree):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "__init__"):
            continue
        if any(k.arg is None and isinstance(k.value, ast.Name) and k.value.id == rest for k in call.keywords):
            explicit_self = not isinstance(call.func.value, ast.Call)
            return {k.arg for k in call.keywords if k.arg}, len(call.args) - explicit_self
    return set(), 0


def _helps(cls: type) -> dict[str, str]:
    """Return the help of all parameters from ``Args:`` sections of the class and its bases; the nearest class wins."""
    found: dict[str, str] = {}
    for base in cls.__mro__:
        for text in (vars(base).get("__doc__"), getattr(vars(base).get("__init__"), "__doc__", None)):
            if base is not object and isinstance(text, str):
                found = helps_of(text) | found
    return found


def helps_of(docstring: str) -> dict[str, str]:
    """Return the descriptions in the ``Args:`` section of a docstring by parameter; empty if it cannot be parsed."""
    from docstring_parser import ParseError
    from docstring_parser.google import parse

    if "Args:" not in docstring:
        return {}
    try:
        return {entry.arg_name: " ".join((entry.description or "").split()) for entry in parse(docstring).params}
    except ParseError:
        return {}
