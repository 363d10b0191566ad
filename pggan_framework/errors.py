"""Exceptions with a meaning for the command line: errors the user can fix, damaged files, diverged training."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from importlib.util import find_spec


class UserError(Exception):
    """An input error. The command line prints it as one line and exits with status 2.

    The message names what was given and what is allowed. It holds no newline; control characters, which file names may
    contain, are escaped.
    """

    def __init__(self, message: str) -> None:
        line = " ".join(message.split())
        super().__init__("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line))


class LocalError(UserError):
    """An error of this machine only, such as a file missing here. Each machine that has it reports it."""


class DamagedError(UserError):
    """A file's bytes differ from those that were written: a checksum differs, or the file is truncated."""


class DivergedError(Exception):
    """A loss or a weight is no longer finite: the run ends with a message, and no checkpoint is overwritten."""


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the allowed name closest to `name`, or an empty string."""
    names = list(allowed)
    folded = {candidate.lower(): candidate for candidate in names}
    match = get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    return f" (did you mean '{folded[match[0]]}'?)" if match else ""


def at_least(owner: str, least: float, **parameters: float) -> None:
    """Check numbers that a component was given.

    Raises:
        UserError: if one is below `least` or NaN; the message names the component, the parameter and its value.
    """
    for name, value in parameters.items():
        if not value >= least:
            raise UserError(f"{owner}.{name} {value} is not allowed; allowed: {least} and up")


def require(package: str, component: str) -> None:
    """Check that an optional package is installed, without importing it.

    Args:
        package: its import name, which is also its name for pip.
        component: the component that needs it.

    Raises:
        UserError: if it is not installed.
    """
    spec = find_spec(package)
    # A plain folder of that name in the working directory, such as the one wandb leaves behind, has no loader.
    if spec is None or spec.origin is None:
        raise UserError(f"{component} needs the package {package}, which is not installed; pip install {package}")
