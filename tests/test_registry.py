from __future__ import annotations

import pytest

from pggan_framework.errors import UserError, nearest, plural, ratio_text
from pggan_framework.registry import REGISTRY, Component, Registry, register


class First:
    pass


class Second:
    pass


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.add(Component("First", "plugin", First, ("one", "uno")))
    registry.add(Component("Second", "dataset", Second))
    return registry


def test_names_and_aliases_find_the_class(registry: Registry) -> None:
    assert registry.get("First").cls is First
    assert registry.get("uno", "plugin").name == "First"
    assert "one" in registry
    assert "two" not in registry


def test_they_are_listed_by_kind(registry: Registry) -> None:
    assert [component.name for component in registry] == ["Second", "First"]


@pytest.mark.parametrize("name", ["First", "one"])
def test_a_name_can_be_had_once(registry: Registry, name: str) -> None:
    with pytest.raises(UserError, match=rf"two components are called '{name}': one in {__name__}, one in {__name__}"):
        registry.add(Component("Third", "plugin", Second, (name,)))
    assert "Third" not in registry


def test_unknown_names_kinds_and_the_wrong_kind(registry: Registry) -> None:
    with pytest.raises(UserError, match=r"unknown plugin 'Frist' \(did you mean 'First'\?\); allowed: First$"):
        registry.get("Frist", "plugin")
    with pytest.raises(UserError, match="'First' is a plugin, not a dataset; allowed: Second"):
        registry.get("First", "dataset")
    with pytest.raises(UserError, match=r"unknown kind 'plugn' \(did you mean 'plugin'\?\)"):
        registry.add(Component("Third", "plugn", First))


def test_removing_frees_every_name(registry: Registry) -> None:
    registry.remove("uno")
    assert not any(name in registry for name in ("First", "one", "uno"))
    registry.add(Component("one", "plugin", Second))


def test_the_decorator_returns_the_class() -> None:
    class Decorated:
        pass

    try:
        assert register("plugin", "AnotherName", aliases=("AnAlias",))(Decorated) is Decorated
        assert REGISTRY.get("AnAlias") == Component("AnotherName", "plugin", Decorated, ("AnAlias",))
    finally:
        REGISTRY.remove("AnotherName")


def test_nearest_ignores_case_and_gives_nothing_for_strangers() -> None:
    assert nearest("g_lr_mux", ["D_xx", "G_lr_max"]) == " (did you mean 'G_lr_max'?)"
    assert nearest("zzz", ["G_lr_max"]) == ""


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (1, "checkpoint", "1 checkpoint"),
        (0, "checkpoint", "0 checkpoints"),
        ("2,400", "sound", "2,400 sounds"),
        ("0.5", "minute", "0.5 minutes"),
        (6, "process", "6 processes"),
    ],
)
def test_a_count_agrees_with_its_noun(count: int | str, noun: str, text: str) -> None:
    assert plural(count, noun) == text


def test_a_large_ratio_has_no_decimals() -> None:
    assert [ratio_text(ratio) for ratio in (1.0, 4.24, 99.94, 99.96, 1804.7)] == ["1.0", "4.2", "99.9", "100", "1,805"]
