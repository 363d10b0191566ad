"""What several test files share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points

import numba_cache
import pytest
from forgotten import forgotten_plugins
from hypothesis import settings

numba_cache.take()  # numba is imported after this

# A quarter of the default examples, on machines of any load; --hypothesis-profile default searches longer.
settings.register_profile("suite", max_examples=25, deadline=None)
settings.load_profile("suite")
QUALITY_SAMPLES = {"_CLIPS": 96, "_IMAGES": 64}
"""The limits in plugins/quality.py."""
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


@pytest.fixture(autouse=True, scope="session")
def packages_are_searched_once() -> Iterator[None]:
    """The metadata of all installed packages is read once a search path, not once a command."""
    from pggan_framework.config import discovery

    search = cache(lambda group, path: entry_points(group=group))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(discovery, "entry_points", lambda group: search(group, tuple(sys.path)))
        yield


@pytest.fixture(autouse=True, scope="session")
def few_samples_are_measured() -> Iterator[None]:
    """Every run measures the quality of its samples; four on each side take the same way through the code as 48."""
    from pggan_framework.plugins import quality

    with pytest.MonkeyPatch.context() as patch:
        for most in QUALITY_SAMPLES:
            patch.setattr(quality, most, 4)
        yield


@pytest.fixture(scope="module")
def all_samples_are_measured(few_samples_are_measured: None) -> Iterator[None]:
    """As many samples are measured as outside the tests: for values, and for runs of several processes."""
    from pggan_framework.plugins import quality

    with pytest.MonkeyPatch.context() as patch:
        for name, most in QUALITY_SAMPLES.items():
            patch.setattr(quality, name, most)
        yield


@pytest.fixture
def without_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps are taken, and change no weight: where only their number counts, a run takes a fraction of the time."""
    from pggan_framework.training.step import TrainingStep

    monkeypatch.setattr(TrainingStep, "_compute", lambda *_: None)


@pytest.fixture
def own_plugins() -> Iterator[None]:
    """Forget the plugin files loaded before the test while it runs, and afterwards those it has loaded."""
    with forgotten_plugins():
        yield
