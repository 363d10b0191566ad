"""What several test files share."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from types import ModuleType

import pytest

from pggan_framework.discovery import USER_PACKAGE
from pggan_framework.registry import REGISTRY, Component

# numba's cache in librosa's folder is not safe for processes that fill it side by side: what one has compiled is then
# found under another's name, and crashes. So each test process has a cache of its own; numba is imported after this.
os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="numba-")
atexit.register(shutil.rmtree, os.environ["NUMBA_CACHE_DIR"], ignore_errors=True)

# Nor does a test find, or leave, features in the user's own cache.
os.environ["PGGAN_CACHE"] = ""


@pytest.fixture(autouse=True)
def nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine, the few files of a test may take so long to read that a dataset keeps what it found."""
    monkeypatch.setattr("pggan_framework.data.preparation.PATIENCE", float("inf"))


@pytest.fixture(autouse=True)
def nothing_is_compiled(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Runs that could go on for hours, and are stopped at once, are not worth a minute of compiling."""
    if "compiling" not in request.node.nodeid and "torch" in sys.modules:
        monkeypatch.setattr("pggan_framework.training.compiling.FEWEST_STEPS", float("inf"))


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
