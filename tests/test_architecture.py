"""Dependencies point one way: cli -> experiment -> training, networks, losses, data -> audio, registry."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import pggan_framework

ROOT = Path(pggan_framework.__file__).parent
BASE = {"errors", "extras", "files", "growth", "label_maps", "labels", "registry"}
MIDDLE = {"audio", "augmentation", "data", "networks", "losses", "loggers", "postprocessors"}
ALLOWED = {
    "errors": set(),
    "extras": BASE,
    "files": set(),
    "growth": BASE,
    "label_maps": BASE,
    "labels": BASE,
    "registry": BASE,
    "best_checkpoint": set(),
    "runs": BASE | {"best_checkpoint"},
    "discovery": BASE,
    "config": BASE | {"discovery"},
    "audio": BASE,
    "augmentation": BASE | {"audio"},
    "data": BASE | {"audio"},
    "recipes": BASE | {"data"},
    "schedules": BASE,
    "networks": BASE,
    "losses": BASE | {"networks"},
    "loggers": BASE,
    "postprocessors": BASE | {"audio"},
    "training": BASE | MIDDLE | {"runs"},
    "plugins": BASE | MIDDLE | {"training", "schedules", "runs", "metrics", "reporting", "best_checkpoint"},
    "building": BASE | MIDDLE | {"training", "schedules", "plugins", "config", "runs"},
    "experiment": BASE | MIDDLE | {"building", "training", "schedules", "plugins", "config", "runs"},
    "launch": BASE | MIDDLE | {"training", "config", "runs", "experiment", "reporting"},
    "dry_run": BASE | MIDDLE | {"training", "plugins", "config", "runs", "experiment", "launch"},
    "exported": BASE | {"audio", "discovery", "pretrained", "runs"},
    "pretrained": BASE | {"audio", "networks", "training", "discovery", "exported"},
    "details": BASE | {"data", "exported", "loggers", "training"},
    "exporting": BASE | {"exported", "networks", "pretrained"},
    "hub": BASE | {"exported", "pretrained", "runs"},
    "model_card": BASE | {"details"},
    "model_folder": BASE
    | {"details", "discovery", "exported", "exporting", "model_card", "playing", "postprocessors", "pretrained"},
    "importing": BASE | {"networks", "training", "config", "plugins"},
    "metrics": BASE | {"audio"},
    "reporting": BASE | {"loggers", "postprocessors", "runs", "metrics", "best_checkpoint"},
    "preparing": BASE | {"data", "postprocessors"},
    "projection": BASE | {"audio", "data", "metrics", "playing", "postprocessors", "pretrained"},
    "planning": BASE | {"audio", "config", "data", "inspection", "losses", "networks", "training"},
    "inspection": BASE | {"audio", "data", "postprocessors"},
    "playing": BASE | {"audio", "pretrained", "postprocessors", "runs", "training"},
    "__main__": {"cli"},
    "cli": BASE
    | {"inspection", "experiment", "playing", "postprocessors", "metrics", "audio", "data", "pretrained", "runs"}
    | {"details", "exporting", "importing", "model_folder", "planning", "reporting"}
    | {"training", "building", "config", "launch", "dry_run", "recipes", "discovery", "preparing", "projection"},
}


def _imports(path: Path) -> set[str]:
    """The parts of the package that a file imports, wherever the import stands."""
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
    return found


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_dependencies_point_one_way(path: Path) -> None:
    part = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if part == "__init__":
        return
    wrong = _imports(path) - ALLOWED[part] - {part, "__version__"}
    assert not wrong, f"{part} must not import {sorted(wrong)}"
