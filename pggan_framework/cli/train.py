"""``pggan train`` or ``python train.py``: train a network."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pggan_framework.config.discovery import DEFAULT_PLUGIN_DIRS
from pggan_framework.errors import UserError
from pggan_framework.loggers.terminal import print_lines

if TYPE_CHECKING:
    from pggan_framework.planning.targets import Facts

_SHORT = {name: ["--verbosity", value] for value in ("quiet", "verbose") for name in (f"-{value[0]}", f"--{value}")}
"""Short forms of flags."""


def run(argv: list[str]) -> int:
    """Print help, the resolved config or the plan, or train; returns the exit status."""
    if "-h" in argv or "--help" in argv:
        return _help([word for word in argv if word not in ("-h", "--help")])
    argv = [word for short in argv for word in _SHORT.get(short, [short])]
    for position, word in enumerate(argv):
        if word.partition("=")[0] == "--help_component":
            return _help_component(argv, position)
    from pggan_framework.cli.threads import share_cores
    from pggan_framework.config import resolve
    from pggan_framework.training.age import program_age

    share_cores()
    called = time.monotonic() - program_age(argv)
    words = [word for word in argv if word != "--print_config"]
    main_process = os.environ.get("RANK", "0") == "0"
    if words and not words[0].startswith("-"):
        from pggan_framework.planning.command import plan_folder

        folder, *words = words
        source, words = _source(words)
        choice = plan_folder(folder, words, source)
        config = resolve(words, base=choice.config)
        # If the resolved config is printed, standard output must contain nothing else.
        if main_process and config.general.verbosity != "quiet":
            print_lines(choice.lines, sys.stderr if "--print_config" in argv else sys.stdout)
    else:
        config = resolve(words)
    if config.general.resume:
        from pggan_framework.launch.start import resumed_config

        config = resolve(words, base=resumed_config(config))
    if "--print_config" in argv:
        sys.stdout.write(config.to_yaml())
        return 0
    if config.general.dry_run:
        from pggan_framework.launch.dry_run import dry_run

        return dry_run(config, time.monotonic() - called) if main_process else 0
    from pggan_framework.launch.start import run_config

    result = run_config(config, time.monotonic() - called)
    if main_process and config.general.verbosity == "quiet":
        print_lines([str(result.path)])
    elif main_process:
        print_lines(f"{what:<9} {path}" for what, path in result.files.items())
    return result.exit_status


def _source(words: list[str]) -> tuple[Facts | None, list[str]]:
    """Return the model given by ``--from``, and the other arguments."""
    words = [part for word in words for part in (word.split("=", 1) if word.startswith("--from=") else [word])]
    if "--from" not in words:
        return None, words
    at = words.index("--from")
    if at + 1 == len(words) or words[at + 1].startswith("--"):
        raise UserError("--from needs a model: pggan train datasets/flutes --from results/007-piano")
    from pggan_framework.cli.grow import facts_of

    rest = words[:at] + words[at + 2 :]
    result_dir = rest[rest.index("--result_dir") + 1] if "--result_dir" in rest[:-1] else "results"
    return facts_of(words[at + 1], Path(result_dir)), rest


def _help(argv: list[str]) -> int:
    """Print the general flags and the components; fast, since no component is imported."""
    from pggan_framework.config.discovery import index
    from pggan_framework.config.help import train_help

    sys.stdout.write(train_help(index(_plugin_dirs(argv))))
    return 0


def _help_component(argv: list[str], position: int) -> int:
    from pggan_framework.config.light import help_of

    _, equals, name = argv[position].partition("=")
    rest = argv[position + 1 :]
    if not equals:
        if not rest or rest[0].startswith("--"):
            raise UserError("--help_component needs the name of a component; 'pggan components' lists them")
        name, *rest = rest
    sys.stdout.write(help_of(name, _plugin_dirs(argv[:position] + rest)))
    return 0


def _plugin_dirs(argv: list[str]) -> list[str]:
    """Return the plugin folders in the other arguments."""
    if not argv:
        return list(DEFAULT_PLUGIN_DIRS)
    from pggan_framework.config.resolve import resolve_general

    return resolve_general([word for word in argv if word != "--print_config"]).plugin_dirs
