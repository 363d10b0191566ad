"""What several test files share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from pggan_framework.discovery import USER_PACKAGE
from pggan_framework.registry import REGISTRY, Component


@pytest.fixture(autouse=True)
def nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine, the few files of a test may take so long to read that a dataset keeps what it found."""
    monkeypatch.setattr("pggan_framework.data.preparation.PATIENCE", float("inf"))


@pytest.fixture
def own_plugins() -> Iterator[None]:
    """Forget the plugin files loaded before the test while it runs, and afterwards those it has loaded."""
    components, modules = _forget_plugins()
    yield
    _forget_plugins()
    for component in components:
        REGISTRY.add(component)
    sys.modules.update(modules)


def _forget_plugins() -> tuple[list[Component], dict[str, ModuleType]]:
    components = [component for component in REGISTRY if component.module.startswith(USER_PACKAGE)]
    for component in components:
        REGISTRY.remove(component.name)
    return components, {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith(USER_PACKAGE)}
