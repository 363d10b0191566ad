from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pggan_framework.config.convert import convert
from pggan_framework.config.parameters import REQUIRED, default_of, parameters
from pggan_framework.errors import UserError

if TYPE_CHECKING:
    from decimal import Decimal


class Root:
    """Root.

    Args:
        shape: injected.
        depth: how deep
            it goes.
        width: how wide.
    """

    injected = ("shape",)

    def __init__(self, shape: object, depth: int = 1, width: float = 2) -> None:
        pass


class Inherits(Root):
    """No constructor."""


class Forwards(Root):
    """Forwards.

    Args:
        own: its own.
        width: narrower.
    """

    def __init__(self, own: str, width: float = 3, **kwargs: Any) -> None:
        super().__init__(None, width=width, **kwargs)


class Fixes(Root):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(None, 5, **kwargs)


class Keeps(Root):
    def __init__(self, own: int = 0) -> None:
        super().__init__(None)


class Twice(Forwards):
    def __init__(self, more: bool = False, **kwargs: Any) -> None:
        super().__init__("x", **kwargs)


@dataclass
class Data:
    table: dict[int, int] = field(default_factory=lambda: {1: 2})
    where: Path = Path("x")


class Loose:
    def __init__(self, a=1, b=None, c: int = None, d: Decimal = None) -> None:  # type: ignore[no-untyped-def, assignment]  # noqa: E501
        pass


class Unknown:
    def __init__(self, a: Decimal) -> None:
        pass


class Complex:
    def __init__(self, a: Root) -> None:
        pass


def test_inherited_parameters_count() -> None:
    assert list(parameters(Inherits)) == ["depth", "width"]
    assert list(parameters(Forwards)) == ["own", "width", "depth"]
    assert list(parameters(Twice)) == ["more", "width", "depth"]
    assert list(parameters(Keeps)) == ["own"]


def test_what_a_constructor_passes_to_its_base_is_no_flag() -> None:
    assert list(parameters(Fixes)) == ["width"]


def test_help_type_and_default_come_from_where_the_parameter_is_defined() -> None:
    flags = parameters(Forwards)
    assert flags["depth"].help == "how deep it goes."
    assert flags["width"].help == "narrower."
    assert (flags["own"].kind, flags["own"].default, flags["own"].required) == (str, REQUIRED, True)
    assert default_of(flags["width"]) == 3.0
    assert isinstance(default_of(flags["width"]), float)


def test_dataclasses_and_fresh_defaults() -> None:
    flags = parameters(Data)
    assert default_of(flags["where"]) == Path("x")
    first = default_of(flags["table"])
    first[1] = 9
    assert default_of(flags["table"]) == {1: 2}


def test_missing_annotations_follow_the_default() -> None:
    flags = parameters(Loose)
    assert list(flags) == ["a", "b", "c"]
    assert (flags["a"].kind, flags["b"].kind, flags["c"].kind) == (int, Any, int | None)


def test_types_no_flag_can_give_are_refused_where_they_must_be_given() -> None:
    with pytest.raises(UserError, match=r"Unknown\.a .*Decimal"):
        parameters(Unknown)
    with pytest.raises(UserError, match=r"Complex\.a .*Root"):
        parameters(Complex)


def test_injected_parameters_are_no_flags() -> None:
    class Declares(Root):
        injected = ("minibatch_size",)

        def __init__(self, minibatch_size: int = 1, shape: object = None, x: int = 0) -> None:
            pass

    assert list(parameters(Declares)) == ["x"]
    assert list(parameters(Root)) == ["depth", "width"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("64", 64), ("32,64", (32, 64)), ("(32, 64)", (32, 64)), ("[32, 64]", (32, 64)), ("None", None)],
)
def test_a_number_or_a_pair(text: str, expected: object) -> None:
    assert convert(text, int | tuple[int, int] | None, "--size", text=True) == expected
