from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from pggan_framework.config import discovery
from pggan_framework.errors import UserError
from pggan_framework.registry import REGISTRY

PLUGIN = '''
from pggan_framework.registry import register
@register("plugin", aliases=("mine",))
class Mine:
    """Does mine.

    More.
    """
@register(kind="logger", name="Other")
class Something:
    pass
class Unregistered:
    pass
'''


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Write a file; what is loaded from it is forgotten afterwards."""
    monkeypatch.setattr(REGISTRY, "_components", {})
    monkeypatch.setattr(REGISTRY, "_names", {})
    for name in [name for name in sys.modules if name.startswith(discovery.USER_PACKAGE)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, discovery.USER_PACKAGE, None)
    del sys.modules[discovery.USER_PACKAGE]

    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write_file


def test_the_index_reads_without_importing(write: Callable[[str, str], Path]) -> None:
    folder = write("mine/a.py", PLUGIN).parent
    write("mine/broken.py", "@register(")
    write("mine/_skipped.py", PLUGIN)
    entries = [entry for entry in discovery.index([folder]) if entry.module == "pggan_user_plugins.a"]
    assert entries == [
        discovery.Entry("Mine", "plugin", "pggan_user_plugins.a", "Does mine.", ("mine",)),
        discovery.Entry("Other", "logger", "pggan_user_plugins.a", ""),
    ]
    assert "Mine" not in REGISTRY


def test_the_index_of_the_package_is_what_importing_registers() -> None:
    discovery.load_builtin()
    entries = [entry for entry in discovery.index() if entry.module.startswith("pggan_framework.")]
    indexed = {(e.name, e.kind, e.module, e.aliases) for e in entries}
    assert indexed == {
        (c.name, c.kind, c.module, c.aliases) for c in REGISTRY if c.module.startswith("pggan_framework.")
    }
    assert indexed


def test_plugin_files_load_once_and_can_import_each_other(write: Callable[[str, str], Path]) -> None:
    folder = write("mine/a.py", "from pggan_user_plugins.b import VALUE as V\n" + PLUGIN).parent
    write("mine/b.py", "VALUE = 3\n")
    write("mine/_c.py", "raise SystemExit\n")
    discovery.load_plugin_dirs([folder, str(folder)])
    discovery.load_plugin_dirs([folder])
    assert REGISTRY.get("mine").module == "pggan_user_plugins.a"
    assert sys.modules["pggan_user_plugins.a"].V == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\ndef f(:\n", ["bad.py:2", "SyntaxError"]),
        ("x = 1\n\nx.y\n", ["bad.py:3", "AttributeError"]),
        ("import no_such_module_here\n", ["bad.py:1", "no_such_module_here"]),
        ("raise SystemExit(3)\n", ["bad.py:1", "SystemExit"]),
        (PLUGIN + "1 / 0\n", ["bad.py", "ZeroDivisionError"]),
        (PLUGIN + PLUGIN, ["two components are called 'Mine'", "pggan_user_plugins.bad"]),
    ],
)
def test_a_file_that_fails_is_named_with_its_line(
    write: Callable[[str, str], Path], text: str, words: list[str]
) -> None:
    folder = write("mine/bad.py", text).parent
    with pytest.raises(UserError) as error:
        discovery.load_plugin_dirs([folder])
    assert all(word in str(error.value) for word in words)
    assert "pggan_user_plugins.bad" not in sys.modules
    assert list(REGISTRY) == []


def test_two_files_of_one_name(write: Callable[[str, str], Path]) -> None:
    first, second = write("one/a.py", "").parent, write("two/a.py", "").parent
    with pytest.raises(UserError, match=r"two plugin files are called a\.py: .*one.*two"):
        discovery.load_plugin_dirs([first, second])


def test_a_missing_folder(write: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write("my_plugins/a.py", "")
    monkeypatch.chdir(tmp_path)
    discovery.load_plugin_dirs(["plugins"])
    with pytest.raises(UserError, match=r"no folder 'my_plugin' \(did you mean 'my_plugins'\?\)"):
        discovery.load_plugin_dirs(["my_plugin"])


def test_entry_points_are_loaded(monkeypatch: pytest.MonkeyPatch, write: Callable[[str, str], Path]) -> None:
    monkeypatch.syspath_prepend(write("site/installed_toy.py", PLUGIN).parent)
    points = [EntryPoint("toy", "installed_toy", discovery.ENTRY_POINTS)]
    monkeypatch.setattr(discovery, "entry_points", lambda group: [p for p in points if p.group == group])
    discovery.load_entry_points()
    assert REGISTRY.get("Mine").module == "installed_toy"
    points[:] = [EntryPoint("toy", "installed_toy:Missing", discovery.ENTRY_POINTS)]
    with pytest.raises(UserError, match=r"'toy' \(installed_toy:Missing\).*Missing"):
        discovery.load_entry_points()
    del sys.modules["installed_toy"]
