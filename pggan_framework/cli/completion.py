"""``pggan completion SHELL``: a script that completes commands, flags and components in bash, zsh or fish."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from keyword import iskeyword
from pathlib import Path

from pggan_framework.config.discovery import DEFAULT_PLUGIN_DIRS, index
from pggan_framework.config.general import General
from pggan_framework.errors import UserError, nearest

USAGE = """usage: pggan completion {bash,zsh,fish}

Prints a script for the shell. To load it in every shell:
  bash:  echo 'eval "$(pggan completion bash)"' >> ~/.bashrc
  zsh:   echo 'eval "$(pggan completion zsh)"' >> ~/.zshrc
  fish:  save the output in ~/.config/fish/completions/pggan.fish

examples:
  pggan completion bash
  pggan completion fish
"""
_BASH = """_pggan() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=
  if (( COMP_CWORD == 1 )); then
    words="@COMMANDS@"
  elif [[ $before == --help_component || $before == components ]]; then
    words="@COMPONENTS@"
  elif [[ $word == -* ]]; then
    case ${COMP_WORDS[1]} in
@CASES@
    esac
  else
    COMPREPLY=($(compgen -f -- "$word"))
    return
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o filenames -F _pggan pggan
"""
_ZSH = "autoload -Uz compinit bashcompinit && compinit && bashcompinit\n"


def run(argv: Sequence[str]) -> int:
    """Print the script; returns the exit status.

    Raises:
        UserError: if the shell is unknown.
    """
    if not argv or argv[0] in ("-h", "--help"):
        sys.stdout.write(USAGE)
        return 0
    scripts = {"bash": _bash, "zsh": lambda: _ZSH + _bash(), "fish": _fish}
    if argv[0] not in scripts or len(argv) > 1:
        given = " ".join(argv)
        raise UserError(f"completion: '{given}' is given{nearest(given, scripts)}; allowed: {', '.join(scripts)}")
    sys.stdout.write(scripts[argv[0]]())
    return 0


def flags_of(command: str) -> list[str]:
    """Return the flags of a command, read from its source without importing it."""
    if command == "train":
        return [f"--{name}" for name in ("config", "print_config", "help_component", *vars(General()))]
    here = Path(__file__).parent
    text = (here / f"{command}{'_' * iskeyword(command)}.py").read_text(encoding="utf-8")
    shared = re.findall(r"from pggan_framework\.cli\.(\w+) import", text)
    texts = [text, *((here / f"{name}.py").read_text(encoding="utf-8") for name in shared)]
    return sorted({flag for each in texts for flag in re.findall(r'"(--[a-zA-Z]\w*)"', each)})


def _commands() -> dict[str, str]:
    from pggan_framework.cli.main import COMMANDS

    return COMMANDS


def _components() -> list[str]:
    return [entry.name for entry in index(DEFAULT_PLUGIN_DIRS)]


def _bash() -> str:
    cases = "\n".join(f'      {name}) words="{" ".join(flags_of(name))}" ;;' for name in _commands())
    replaced = {"@COMMANDS@": " ".join(_commands()), "@COMPONENTS@": " ".join(_components()), "@CASES@": cases}
    script = _BASH
    for mark, text in replaced.items():
        script = script.replace(mark, text)
    return script


def _fish() -> str:
    lines = ["complete -c pggan -e"]
    for name, about in _commands().items():
        quoted = about.replace("'", "\\'")
        lines.append(f"complete -c pggan -n __fish_use_subcommand -a {name} -d '{quoted}'")
        lines += [
            f"complete -c pggan -n '__fish_seen_subcommand_from {name}' -l {flag.removeprefix('--')}"
            for flag in flags_of(name)
        ]
    names = " ".join(_components())
    lines.append(f"complete -c pggan -n '__fish_seen_subcommand_from components' -f -a '{names}'")
    lines.append(f"complete -c pggan -n '__fish_seen_subcommand_from train' -l help_component -x -a '{names}'")
    return "\n".join(lines) + "\n"
