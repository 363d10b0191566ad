"""The texts of ``-h``, ``--help_component`` and ``pggan components``."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from itertools import groupby

from pggan_framework.config.convert import describe, plain
from pggan_framework.config.discovery import Entry
from pggan_framework.config.general import General
from pggan_framework.config.parameters import Parameter, default_of, parameters
from pggan_framework.config.presets import presets
from pggan_framework.config.text import dump_line
from pggan_framework.registry import Component

WIDTH = 118

_COMMAND_FLAGS = (
    ("--config FILE", "YAML file or name of a preset; repeatable, later ones override"),
    ("--print_config", "print the resolved config and stop"),
    ("--help_component NAME", "print the flags of a component and stop"),
    ("-q, -v", "print less or more: --verbosity quiet or verbose"),
)
_TRAIN_EXAMPLES = """
examples:
  pggan train datasets/piano --minutes 10
  pggan train datasets/flutes --from results/007-piano --minutes 10
  pggan train --config cats --exp_name cats --total_kimg 20 --dry_run
  pggan train --config tones --total_kimg 40 --resume latest
"""


def train_help(entries: Iterable[Entry]) -> str:
    """Return the general flags, one line each, and the components by kind."""
    rows = [*_COMMAND_FLAGS, *((f"--{flag.name}", _general_help(flag)) for flag in parameters(General).values())]
    lines = [
        "usage: pggan train [DIR] [--config FILE ...] [--FLAG VALUE ...] [--Component.parameter VALUE ...]",
        "DIR, a folder of recordings or images, needs no config; pggan plans the run for --minutes (default: 10).",
        "",
        *(_row(left, right, 24) for left, right in rows),
        "",
        "components (details: --help_component NAME or 'pggan components'):",
    ]
    for kind, group in groupby(entries, key=lambda entry: entry.kind):
        names = ", ".join(entry.name for entry in group)
        lines += textwrap.wrap(names, WIDTH, initial_indent=f"  {kind:<15}", subsequent_indent=" " * 17)
    lines += textwrap.wrap(f"presets, as in --config tones: {', '.join(presets())}", WIDTH, subsequent_indent=" " * 2)
    return "\n".join(lines) + "\n" + _TRAIN_EXAMPLES


def components_help(entries: Iterable[Entry]) -> str:
    """Return all components by kind, with the first lines of their docstrings."""
    lines: list[str] = []
    for kind, group in groupby(entries, key=lambda entry: entry.kind):
        lines += ["", f"{kind}:"]
        for entry in group:
            also = f" (also: {', '.join(entry.aliases)})" if entry.aliases else ""
            lines.append(_row(entry.name, entry.summary + also, 26))
    return "\n".join(lines[1:]) + "\n"


def component_help(component: Component) -> str:
    """Return the summary of a component, and each flag with type, default and help."""
    about = (component.cls.__doc__ or "").partition("\n")[0]
    lines = [f"{component.name} ({component.kind}, {component.module}): {about}"]
    if component.aliases:
        lines.append(f"also called: {', '.join(component.aliases)}")
    if component.kind == "codec":
        lines.append("no flags: its parameters are set through the dataset that uses it")
        return "\n".join(lines) + "\n"
    flags = parameters(component.cls, component.name).values()
    for flag in flags:
        default = "(required)" if flag.required else f"(default: {_shown(flag)})"
        lines += ["", f"  --{component.name}.{flag.name}  {describe(flag.kind)} {default}"]
        lines += textwrap.wrap(flag.help, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
    if not flags:
        lines.append("  no flags")
    return "\n".join(lines) + "\n"


def _general_help(flag: Parameter) -> str:
    unset = flag.default in (None, "", [])
    return flag.help.removesuffix(".") + ("" if unset else f" (default: {dump_line(flag.default)})")


def _shown(flag: Parameter) -> str:
    value = default_of(flag)
    return dump_line(plain(value)) if value is not None else "None"


def _row(left: str, right: str, width: int) -> str:
    return f"  {left:<{width}} {right}".rstrip()
