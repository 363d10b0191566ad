"""``pggan components [NAME]``: list the components, or the flags of one."""

from __future__ import annotations

import sys

from pggan_framework.config.discovery import DEFAULT_PLUGIN_DIRS, index
from pggan_framework.config.help import components_help
from pggan_framework.config.light import help_of
from pggan_framework.errors import UserError

USAGE = "usage: pggan components [NAME] [--plugin_dirs DIR,...]"
HELP = """Lists all components, one line each or, with NAME, the flags of that component.

examples:
  pggan components
  pggan components DepthManager
  pggan components --plugin_dirs plugins
"""


def run(argv: list[str]) -> int:
    """List all components by kind, or the flags of one; returns the exit status.

    Raises:
        UserError: if the component does not exist.
    """
    if "-h" in argv or "--help" in argv:
        sys.stdout.write(f"{USAGE}\n\n{HELP}")
        return 0
    words, dirs = argv, list(DEFAULT_PLUGIN_DIRS)
    if "--plugin_dirs" in argv:
        from pggan_framework.config.resolve import resolve_general

        at = argv.index("--plugin_dirs")
        words, dirs = argv[:at], resolve_general(argv[at:]).plugin_dirs
    if len(words) > 1 or any(word.startswith("-") for word in words):
        raise UserError(f"components: unexpected '{' '.join(argv)}'; {USAGE}")
    if words:
        sys.stdout.write(help_of(words[0], dirs))
    else:
        sys.stdout.write(components_help(index(dirs)))
    return 0
