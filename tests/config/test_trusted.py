"""No file has code loaded: folders of code come from the command line or are the working folder's plugins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pggan_framework.config import resolve, resolve_overrides

EVIL = "raise SystemExit('code from the file runs')\n"


@pytest.mark.parametrize(
    "text",
    [
        "plugin_dirs: [theirs]\n",
        "plugin_dirs: theirs\n",
        "plugin_dirs: [plugins, theirs]\n",
        "plugin_dirs.0: theirs\n",
        "plugin_dirs: ['./theirs']\n",
    ],
)
def test_a_config_cannot_name_folders_of_code(
    toys: None, write: Callable[[str, str], str], capsys: pytest.CaptureFixture[str], text: str
) -> None:
    write("theirs/evil.py", EVIL)
    config = resolve(["--config", write("a.yaml", text)])
    assert set(config.general.plugin_dirs) <= {"plugins"}
    error = capsys.readouterr().err
    assert "a.yaml: plugin_dirs" in error
    assert "no code is loaded from folders that a file names" in error
    assert "theirs" in error.partition("--plugin_dirs ")[2]


def test_a_stored_config_cannot_either(
    toys: None, write: Callable[[str, str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    write("theirs/evil.py", EVIL)
    config = resolve(["--total_kimg", "3"], base={"plugin_dirs": ["theirs"]})
    assert config.general.plugin_dirs == []
    assert "--plugin_dirs theirs" in capsys.readouterr().err


def test_the_command_line_and_python_can(toys: None, write: Callable[[str, str], str], tmp_path: Path) -> None:
    write("mine/noted.py", "from pathlib import Path\nPath('ran').touch()\n")
    config = resolve(["--config", write("a.yaml", "plugin_dirs: [theirs]\n"), "--plugin_dirs", "mine"])
    assert config.general.plugin_dirs == ["mine"]
    assert (tmp_path / "ran").exists()
    assert resolve_overrides(None, {"plugin_dirs": ["mine"]}).general.plugin_dirs == ["mine"]


def test_the_default_folder_may_be_named(
    toys: None, write: Callable[[str, str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert resolve(["--config", write("a.yaml", "plugin_dirs: [plugins]\n")]).general.plugin_dirs == ["plugins"]
    assert not capsys.readouterr().err


@pytest.mark.parametrize("link", [False, True])
def test_a_config_replaces_no_file(
    toys: None, write: Callable[[str, str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str], link: bool
) -> None:
    mine = tmp_path / "mine.h5"
    mine.symlink_to(tmp_path / "gone") if link else mine.touch()
    config = write("a.yaml", f"save_dataset: {mine}\n")
    assert resolve(["--config", config]).general.save_dataset == ""
    assert f"to replace it: --save_dataset {mine}" in capsys.readouterr().err
    assert resolve(["--config", config, "--save_dataset", str(mine)]).general.save_dataset == str(mine)
    assert resolve(["--total_kimg", "3"], base={"save_dataset": str(mine)}).general.save_dataset == ""
    mine.unlink()
    assert resolve(["--config", config]).general.save_dataset == str(mine)
