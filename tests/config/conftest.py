"""A registry of small classes with the names every run uses, so that these tests need neither torch nor data."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from small_components import TOYS

from pggan_framework.config.discovery import load_plugin_dirs
from pggan_framework.registry import REGISTRY, Component


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only the toys are registered, the working folder is empty, and plugin files are forgotten afterwards."""
    monkeypatch.setattr(REGISTRY, "_components", {})
    monkeypatch.setattr(REGISTRY, "_names", {})
    monkeypatch.setattr("pggan_framework.registry.BASES", {})
    for name, kind, cls in TOYS:
        REGISTRY.add(Component(name, kind, cls, ("wgan_gp",) if name == "WGANGP" else ()))
    monkeypatch.setattr(sys.modules["pggan_framework.config.resolve"], "load_all", load_plugin_dirs)
    for name in [name for name in sys.modules if name.startswith("pggan_user_plugins")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], str]:
    """Write a file in the working folder and return its name."""

    def write_file(name: str, text: str) -> str:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
        return name

    return write_file
