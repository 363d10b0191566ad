"""The configs and plugins of the package, available by name from any folder."""

from __future__ import annotations

from pathlib import Path

from pggan_framework.errors import UserError, nearest

PACKAGE = Path(__file__).parents[1]
YAML = (".yaml", ".yml")

# In the wheel they are inside the package (pyproject.toml); in a checkout they are next to it.
_INSTALLED = PACKAGE / "presets"
CONFIGS = _INSTALLED if _INSTALLED.is_dir() else PACKAGE.parent / "configs"
"""The folder of the presets, with a YAML file each."""
PLUGINS = _INSTALLED / "plugins" if _INSTALLED.is_dir() else PACKAGE.parent / "plugins"
"""The folder of the presets' plugins."""


def presets() -> list[str]:
    """The names of the presets, sorted."""
    return sorted(path.stem for path in CONFIGS.glob("*.yaml"))


def find_config(given: str | Path) -> Path:
    """Find the file given by ``--config``.

    Args:
        given: path of a file, or the name, without extension, of a file in configs/ of the current folder or of a
            preset.

    Raises:
        UserError: if neither a file nor a preset exists.
    """
    path = Path(given)
    if path.is_file():
        return path
    if path.is_dir():
        names = sorted(p.name for p in path.iterdir() if p.suffix in YAML)
        found = f"such as {path / names[0]}" if names else "and it holds none"
        raise UserError(f"--config {path} is a folder; allowed: a YAML file, {found}")
    if path.name == str(given) and path.suffix not in YAML:
        for folder in (Path("configs"), CONFIGS):
            named = folder / f"{path.name}.yaml"
            if named.is_file():
                return named
        raise UserError(
            f"--config {given}: there is no such file and no such preset{nearest(path.name, presets())};"
            f" allowed: a YAML file, or one of {', '.join(presets())}"
        )
    hint = f"; the preset of this name: --config {path.stem}" if path.stem in presets() else ""
    if not path.parent.is_dir():
        raise UserError(f"config file {path} does not exist: there is no folder {path.parent}{hint}")
    names = [p.name for p in path.parent.iterdir() if p.suffix in YAML]
    raise UserError(f"config file {path} does not exist{nearest(path.name, names) or hint}")
