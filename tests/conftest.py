"""What several test files share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import numba_cache
import pytest
from forgotten import forgotten_plugins

numba_cache.take()  # numba is imported after this

# A test does not find, or leave, features in the user's own cache.
os.environ["PGGAN_CACHE"] = ""


@pytest.fixture(autouse=True)
def nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine, the few files of a test may take so long to read that a dataset keeps what it found."""
    monkeypatch.setattr("pggan_framework.data.prepare.sounds.PATIENCE", float("inf"))


@pytest.fixture(autouse=True)
def nothing_is_compiled(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Runs that could continue for hours, and are stopped at once, are not worth a minute of compiling."""
    if "compiling" not in request.node.nodeid and "torch" in sys.modules:
        for rule in ("AUTO_STEPS", "AUTO_SECONDS"):
            monkeypatch.setattr(f"pggan_framework.training.compiling.{rule}", float("inf"))


@pytest.fixture
def own_plugins() -> Iterator[None]:
    """Forget the plugin files loaded before the test while it runs, and afterwards those it has loaded."""
    with forgotten_plugins():
        yield
