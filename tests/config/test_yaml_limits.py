"""A small config cannot stand for many values, nor nest without end: one line says so, and soon."""

from __future__ import annotations

from pathlib import Path

import pytest

from pggan_framework.config.text import LONGEST, load_file
from pggan_framework.errors import UserError


def _laughs(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


def _merges(levels: int) -> str:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n}\n  <<: [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_laughs(9), "too many values"),
        (_merges(9), "too many values"),
        ("\n".join(["a0: &a0 [1]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 900))]), "too many values"),
        ("a: " + "[" * 5000, "nested more than 32 deep"),
        ("a: " + "{a: " * 5000, "nested more than 32 deep"),
        ("a: &a [*a]", "an alias refers to its own parent"),
        ("a: &a {b: [*a]}", "an alias refers to its own parent"),
        ("a: 0x" + "f" * 5000, "a number is too long"),
        ("a: " + "9" * 5000, "a number is too long"),
        ("a: " + "x" * LONGEST, "longer than 65,536 bytes"),
        ("a: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
    ],
)
def test_one_line_refuses_it(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message) as caught:
        load_file(path)
    assert "\n" not in str(caught.value)


def test_aliases_within_the_limits_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: &a [1, 2]\nb: *a\nc: [*a, *a]\n", encoding="utf-8")
    assert load_file(path) == {"a": [1, 2], "b": [1, 2], "c": [[1, 2], [1, 2]]}
