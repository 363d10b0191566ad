"""Find components: in the package, in installed plugin packages and in folders of user files."""

from __future__ import annotations

import ast
import sys
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import import_module, invalidate_caches
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from pggan_framework.config.presets import PACKAGE, PLUGINS
from pggan_framework.errors import UserError, nearest
from pggan_framework.registry import KINDS, REGISTRY

USER_PACKAGE = "pggan_user_plugins"
ENTRY_POINTS = "pggan_framework.plugins"
DEFAULT_PLUGIN_DIRS = ("plugins",)


@dataclass(frozen=True)
class Entry:
    """A component as its source file declares it.

    Args:
        name: registered name.
        kind: kind of component.
        module: the module that defines it.
        summary: the first line of its docstring.
        aliases: other names.
    """

    name: str
    kind: str
    module: str
    summary: str
    aliases: tuple[str, ...] = ()


def index(plugin_dirs: Iterable[str | Path] = ()) -> tuple[Entry, ...]:
    """List the built-in components, and those in `plugin_dirs`, by kind and name, without importing anything.

    Files with syntax errors are skipped here; `load_plugin_dirs` reports them.
    """
    files: dict[str, Path] = {}
    for folder in (PLUGINS, *plugin_dirs):  # user files replace packaged files of the same name
        files |= {f"{USER_PACKAGE}.{path.stem}": path for path in _plugin_files(Path(folder))}
    entries = [*_builtin(), *(entry for module, path in files.items() for entry in _entries(module, path))]
    order = {kind: position for position, kind in enumerate(KINDS)}
    return tuple(sorted(entries, key=lambda entry: (order.get(entry.kind, len(order)), entry.name.lower())))


def load_builtin() -> None:
    """Import all modules of the package that register components."""
    for module in dict.fromkeys(entry.module for entry in _builtin()):
        import_module(module)


def load_entry_points() -> None:
    """Import the plugins of installed packages: the entry point group ``pggan_framework.plugins``.

    Raises:
        UserError: if a plugin cannot be imported.
    """
    for point in entry_points(group=ENTRY_POINTS):
        try:
            point.load()
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                f"the installed plugin '{point.name}' ({point.value}) does not load: {type(error).__name__}: {error}"
            ) from error


def load_plugin_dirs(plugin_dirs: Iterable[str | Path], replaceable: bool = False) -> None:
    """Import every .py file in `plugin_dirs` without a leading underscore as ``pggan_user_plugins.<stem>``.

    Each file is imported once. The default folder ``plugins`` may be missing.

    Args:
        plugin_dirs: folders with plugin files.
        replaceable: skip a file if a file of the same name is already loaded.

    Raises:
        UserError: if a folder is missing, a file fails (the message has its name and line), or two files share a name.
    """
    for folder in map(Path, plugin_dirs):
        if not folder.is_dir():
            if str(folder) in DEFAULT_PLUGIN_DIRS:
                continue
            siblings = [p.name for p in folder.parent.iterdir() if p.is_dir()] if folder.parent.is_dir() else []
            raise UserError(f"plugin_dirs: there is no folder '{folder}'{nearest(folder.name, siblings)}")
        package = _user_package()
        if str(folder.resolve()) not in package.__path__:
            package.__path__.append(str(folder.resolve()))
        for path in _plugin_files(folder):
            if not (replaceable and f"{USER_PACKAGE}.{path.stem}" in sys.modules):
                _load_plugin(path.resolve())


def load_all(plugin_dirs: Sequence[str | Path] = ()) -> None:
    """Fill the registry: the package, installed plugin packages, `plugin_dirs` and the presets' plugins."""
    load_builtin()
    load_entry_points()
    load_plugin_dirs(plugin_dirs)
    # Last, since user files replace packaged files of the same name.
    load_plugin_dirs([PLUGINS], replaceable=True)


def load_for_models(plugin_dirs: Sequence[str | Path] = ()) -> None:
    """Fill the registry with the classes that trained models need, without loading code from the current folder.

    Args:
        plugin_dirs: folders given by the user in this call, with the classes that the model needs.
    """
    load_builtin()
    load_entry_points()
    load_plugin_dirs(plugin_dirs)


def split_trusted(plugin_dirs: object) -> tuple[list[str], list[str]]:
    """Split the code folders listed in a file into trusted ones, which are loaded anyway, and untrusted ones.

    Configs and checkpoints may be untrusted. Code is loaded only from ``plugins`` in the working folder and from
    folders given on the command line, never because a file lists a folder.

    Args:
        plugin_dirs: the value in the file, of any type.
    """
    named = plugin_dirs if isinstance(plugin_dirs, list) else [] if plugin_dirs is None else [plugin_dirs]
    folders = [str(folder) for folder in named]
    return (
        [folder for folder in folders if folder in DEFAULT_PLUGIN_DIRS],
        [folder for folder in folders if folder not in DEFAULT_PLUGIN_DIRS],
    )


def code_note(folders: Sequence[str]) -> str:
    """Return the message about code folders listed in a file, with the flag that loads them."""
    shown = ",".join(folders)[:200]
    return f"no code is loaded from folders that a file names ({shown}); if you trust it: --plugin_dirs {shown}"


@cache
def _builtin() -> tuple[Entry, ...]:
    """Return the components of the package; its files do not change at run time."""
    files = [path for path in sorted(PACKAGE.rglob("*.py")) if PLUGINS not in path.parents]
    return tuple(entry for path in files for entry in _entries(_module_name(path), path))


def _module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _plugin_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.py") if not path.name.startswith("_"))


def _entries(module: str, path: Path) -> tuple[Entry, ...]:
    """Return the components in a file, which is parsed again only after it has changed."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return _read_entries(module, path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=1024)
def _read_entries(module: str, path: Path, changed: int, size: int) -> tuple[Entry, ...]:
    """Read the components in a file. Most files have none, so a text search precedes parsing."""
    try:
        text = path.read_text(encoding="utf-8")
        if "register(" not in text:
            return ()
        tree = ast.parse(text)
    except (OSError, ValueError, SyntaxError):
        return ()
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    found = [_read_decorator(module, node, call) for node in classes for call in node.decorator_list]
    return tuple(entry for entries in found for entry in entries)


def _read_decorator(module: str, node: ast.ClassDef, call: ast.expr) -> list[Entry]:
    """Parse ``@register("kind", "name", aliases=("a",))`` to an entry; an empty list for any other decorator."""
    if not isinstance(call, ast.Call):
        return []
    called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if called != "register":
        return []
    given = dict(zip(("kind", "name"), call.args, strict=False)) | {k.arg: k.value for k in call.keywords if k.arg}
    try:
        values = {key: ast.literal_eval(value) for key, value in given.items()}
    except ValueError:
        return []
    summary = (ast.get_docstring(node) or "").partition("\n")[0]
    return [
        Entry(
            values.get("name") or node.name, values.get("kind", ""), module, summary, tuple(values.get("aliases", ()))
        )
    ]


def _user_package() -> ModuleType:
    """Return the package that contains user files as modules, so that they can import each other."""
    if USER_PACKAGE not in sys.modules:
        package = ModuleType(USER_PACKAGE, "The user's plugin files.")
        package.__path__ = []
        sys.modules[USER_PACKAGE] = package
    return sys.modules[USER_PACKAGE]


def _load_plugin(path: Path) -> None:
    name = f"{USER_PACKAGE}.{path.stem}"
    if name in sys.modules:
        other = Path(sys.modules[name].__file__ or "")
        if other == path:
            return
        if other.parent != PLUGINS.resolve():
            raise UserError(f"two plugin files are called {path.name}: {other} and {path}; rename one")
        _forget(name)  # user files replace packaged files of the same name
    invalidate_caches()
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} cannot be imported as a plugin")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        _forget(name)
        if isinstance(error, UserError | KeyboardInterrupt):
            raise
        raise UserError(f"plugin file {_place(error, path)}: {type(error).__name__}: {_message(error)}") from error


def _forget(name: str) -> None:
    """Undo the import of a plugin file."""
    del sys.modules[name]
    for component in [c for c in REGISTRY if c.module == name]:
        REGISTRY.remove(component.name)


def _place(error: BaseException, path: Path) -> str:
    """Return ``file:line`` of an error: the line of a syntax error, else the last executed line of the user's file."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"{error.filename}:{error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{path}:{lines[-1]}" if lines else str(path)


def _message(error: BaseException) -> str:
    return error.msg if isinstance(error, SyntaxError) else str(error)
