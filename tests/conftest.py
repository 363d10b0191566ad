"""What several test files share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

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


@pytest.fixture
def all_samples_are_measured(few_samples_are_measured: None) -> Iterator[None]:
    """As many samples are measured as outside the tests: for values, and for runs of several processes."""
    from pggan_framework.plugins import quality

    with pytest.MonkeyPatch.context() as patch:
        for name, most in QUALITY_SAMPLES.items():
            patch.setattr(quality, name, most)
        yield


@pytest.fixture(autouse=True, scope="session")
def memory_is_not_counted() -> Iterator[None]:
    """Networks of a few weights fit: to count what one pass takes is a fifth of a run's time."""
    from pggan_framework.launch import experiment

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "bytes_at_hand", lambda device: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def networks_are_described_once() -> Iterator[None]:
    """Networks with the same layers share their table in log.txt: making one is a quarter of a small run's time."""
    module: Any = import_module("pggan_framework.networks.describe")
    describe, tables = module.describe, dict[Any, Any]()

    def described(network: Any) -> Any:
        plain = {name: value for name, value in vars(network).items() if isinstance(value, int | float | str | tuple)}
        shapes = [(name, value.shape) for name, value in [*network.named_parameters(), *network.named_buffers()]]
        key = type(network), repr((network, network.growth, sorted(plain.items()), shapes))
        if key not in tables:
            tables[key] = describe(network)
        return list(tables[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "describe", described)
        yield


@pytest.fixture(scope="module")
def memory_is_counted(memory_is_not_counted: None) -> Iterator[None]:
    """Runs count what one pass takes, as outside the tests: whatever the networks are."""
    from pggan_framework.cpu.memory import bytes_at_hand
    from pggan_framework.launch import experiment

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "bytes_at_hand", bytes_at_hand)
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
