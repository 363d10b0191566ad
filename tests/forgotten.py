"""Plugin files, and the classes they have registered, forgotten for a while."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from pggan_framework.config.discovery import USER_PACKAGE
from pggan_framework.registry import REGISTRY, Component


@contextmanager
def forgotten_plugins() -> Iterator[None]:
    """Forget the plugin files loaded before while it lasts, and afterwards those loaded meanwhile."""
    components, modules = _forget()
    try:
        yield
    finally:
        _forget()
        for component in components:
            REGISTRY.add(component)
        sys.modules.update(modules)


def _forget() -> tuple[list[Component], dict[str, ModuleType]]:
    components = [component for component in REGISTRY if component.module.startswith(USER_PACKAGE)]
    for component in components:
        REGISTRY.remove(component.name)
    return components, {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith(USER_PACKAGE)}
