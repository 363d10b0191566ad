"""The rooms of the package are in an order, and a room imports only from rooms before it: cli comes last."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import pggan_framework

ROOT = Path(pggan_framework.__file__).parent
ORDER = (
    "errors",
    "registry",
    "storage",
    "config",
    "labels",
    "runs",
    "schedules",
    "cpu",
    "audio",
    "augmentation",
    "postprocessors",
    "networks",
    "losses",
    "loggers",
    "data",
    "metrics",
    "training",
    "reporting",
    "plugins",
    "models",
    "launch",
    "generate",
    "projection",
    "recipes",
    "inspection",
    "planning",
    "cli",
)
AT_THE_TOP = {"__init__", "__main__", "errors", "registry"}


def _imports(path: Path) -> set[str]:
    """The rooms of the package that a file imports from, wherever the import is."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = (
                [node.module] if node.module != "pggan_framework" else [f"{node.module}.{a.name}" for a in node.names]
            )
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("pggan_framework.")}
    return found - {"__version__"}


def test_only_what_every_room_shares_lies_at_the_top() -> None:
    assert {path.stem for path in ROOT.glob("*.py")} == AT_THE_TOP
    rooms = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    assert rooms == set(ORDER) - AT_THE_TOP


@pytest.mark.parametrize("room", ["networks", "losses", "training"])
def test_no_function_changes_a_modules_variables(room: str) -> None:
    """Two runs in two threads would change them under each other."""
    for path in sorted((ROOT / room).rglob("*.py")):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        assert not any(isinstance(node, ast.Global) for node in nodes), path


@pytest.mark.parametrize("room", ORDER)
def test_a_room_imports_only_from_rooms_before_it(room: str) -> None:
    allowed = set(ORDER[: ORDER.index(room) + 1])
    files = [ROOT / f"{room}.py"] if room in AT_THE_TOP else sorted((ROOT / room).rglob("*.py"))
    wrong = {str(path.relative_to(ROOT)): later for path in files if (later := _imports(path) - allowed)}
    assert not wrong
