"""Format a choice as a commented YAML file that the user can edit."""

from __future__ import annotations

from pggan_framework.config.text import dump_line
from pggan_framework.planning.choose import Choice


def as_yaml(choice: Choice, command: str) -> str:
    """Format the configuration as YAML, with the reasons as comments.

    Args:
        choice: choice to format.
        command: training command, for the first line.
    """
    lines = [f"# {command}", *(f"# {line}" for line in choice.lines)]
    for key, value in choice.config.items():
        if isinstance(value, dict):
            lines.append(f"{key}:")
            lines += [_line(f"{key}.{name}", name, item, choice, "  ") for name, item in value.items()]
        else:
            lines.append(_line(key, key, value, choice, ""))
    return "\n".join(lines) + "\n"


def _line(dotted: str, name: str, value: object, choice: Choice, indent: str) -> str:
    comment = choice.comments.get(dotted)
    return f"{indent}{name}: {dump_line(value)}" + (f"  # {comment}" if comment else "")
