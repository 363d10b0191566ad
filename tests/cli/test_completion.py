"""Shell completion: what bash offers, and that no flag of a command is missing."""

from __future__ import annotations

import shutil
import subprocess
from importlib import import_module
from keyword import iskeyword

import pytest

from pggan_framework.cli.completion import flags_of
from pggan_framework.cli.main import COMMANDS, main


def offered(script: str, *words: str) -> list[str]:
    """What bash offers for the last of the words."""
    program = f"""{script}
COMP_WORDS=({" ".join(f"'{word}'" for word in words)}); COMP_CWORD={len(words) - 1}
_pggan; printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    return subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_bash_offers_commands_flags_and_components(shell, capsys):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out.partition("bashcompinit\n")[2 if shell == "zsh" else 0]
    assert offered(script, "pggan", "exp") == ["export"]
    assert set(offered(script, "pggan", "")) == set(COMMANDS)
    assert offered(script, "pggan", "train", "--total_k") == ["--total_kimg"]
    assert offered(script, "pggan", "report", "--she") == ["--sheets"]
    assert "DepthManager" in offered(script, "pggan", "train", "--help_component", "De")
    assert offered(script, "pggan", "components", "TeeL") == ["TeeLogger"]


def test_bash_offers_files_elsewhere(tmp_path, monkeypatch, capsys):
    (tmp_path / "recordings").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["completion", "bash"]) == 0
    assert offered(capsys.readouterr().out, "pggan", "train", "rec") == ["recordings"]


def test_fish_has_every_command_with_its_flags(capsys):
    assert main(["completion", "fish"]) == 0
    script = capsys.readouterr().out
    for name in COMMANDS:
        assert f"-a {name} -d " in script
        for flag in flags_of(name):
            assert f"'__fish_seen_subcommand_from {name}' -l {flag[2:]}\n" in script
    if shutil.which("fish"):
        subprocess.run(["fish", "-c", script], check=True)


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("train", "components", "completion")])
def test_no_flag_of_a_command_is_missing(command):
    module = import_module(f"pggan_framework.cli.{command}{'_' * iskeyword(command)}")
    if not hasattr(module, "_parser"):
        assert flags_of(command)
        return
    own = {name for action in module._parser()._actions for name in action.option_strings if name.startswith("--")}
    assert own - {"--help"} <= set(flags_of(command))


@pytest.mark.parametrize("words", [["tcsh"], ["bahs"], ["bash", "more"]])
def test_an_unknown_shell_is_one_line(words, capsys):
    assert main(["completion", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: completion: '") and "allowed: bash, zsh, fish" in error and error.count("\n") == 1
