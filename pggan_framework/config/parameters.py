"""The flags of a class: its constructor's parameters with type, default and help, inherited ones included."""

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
"""Default of a parameter that has none."""


@dataclass(frozen=True)
class Parameter:
    """One flag of a class.

    Args:
        name: its name in the constructor.
        kind: its type.
        default: its default, or `REQUIRED`.
        help: its description in the docstring.
    """

    name: str
    kind: Any
    default: Any
    help: str

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is REQUIRED

    @cached_property
    def converted(self) -> Any:
        """The default in the annotated type where possible: 3 for a float is 3.0. Do not modify it."""
        try:
            return convert(deepcopy(self.default), self.kind, self.name)
        except UserError:
            return self.default


def injected(cls: type) -> set[str]:
    """The constructor parameters that are not flags, since the run passes them: `cls.injected` and its bases'."""
    return {name for base in cls.__mro__ for name in vars(base).get("injected", ())}


@cache
def parameters(cls: type, name: str | None = None) -> Mapping[str, Parameter]:
    """The flags of `cls`, registered as `name`: its constructor's parameters, then the inherited ones.

    A constructor with ``**kwargs`` also has its base's parameters, except those it passes to the base itself.

    Raises:
        UserError: if a command line cannot give a parameter's type, or its annotation cannot be resolved.
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
    """A fresh copy of the parameter's default, in its annotated type where possible: 3 for a float is 3.0."""
    return deepcopy(parameter.converted)


def _parameter(parameter: inspect.Parameter, base: type, name: str, text: str) -> Parameter | None:
    """The flag of one constructor parameter; None for an optional one whose type a command line cannot give."""
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
    """The parameter's type; without an annotation, that of its default."""
    if parameter.annotation is inspect.Parameter.empty:
        simple = isinstance(default, int | float | str | Path | list | tuple | dict)
        return type(default) if simple else Any
    holder = SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    try:
        return get_type_hints(holder, vars(sys.modules[base.__module__]))[parameter.name]
    except (NameError, SyntaxError, TypeError, AttributeError) as error:
        if default is not REQUIRED:
            return object  # a type known to the type checker only; with a default it need not be a flag
        raise UserError(
            f"{where}: its annotation '{parameter.annotation}' is not known at run time ({error})"
        ) from error


def _passed_on(init: Callable[..., Any], rest: str) -> tuple[set[str], int]:
    """The arguments `init` passes to its base alongside ``**rest``: keyword names, and the number of positional ones.

    Without source code, as for a dataclass, no arguments are assumed.
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
    """Help of every parameter from the ``Args:`` sections of the class and its bases; the nearest class wins."""
    found: dict[str, str] = {}
    for base in cls.__mro__:
        for text in (vars(base).get("__doc__"), getattr(vars(base).get("__init__"), "__doc__", None)):
            if base is not object and isinstance(text, str):
                found = helps_of(text) | found
    return found


def helps_of(docstring: str) -> dict[str, str]:
    """The descriptions in the ``Args:`` section of a docstring, by parameter; none where it cannot be read."""
    from docstring_parser import ParseError
    from docstring_parser.google import parse

    if "Args:" not in docstring:
        return {}
    try:
        return {entry.arg_name: " ".join((entry.description or "").split()) for entry in parse(docstring).params}
    except ParseError:
        return {}
