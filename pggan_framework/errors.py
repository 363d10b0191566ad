"""Exceptions with a meaning for the command line, and the words and checks that their messages share."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from importlib.util import find_spec


class UserError(Exception):
    """An input error. The command line prints it as one line and exits with status 2.

    The message names what was given and what is allowed. It contains no newline; control characters, which file names
    may contain, are escaped.
    """

    def __init__(self, message: str) -> None:
        line = " ".join(message.split())
        super().__init__("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line))


class LocalError(UserError):
    """An error of one machine, such as a missing file. Each machine with an error of this kind reports it."""


class DamagedError(UserError):
    """The bytes of a file differ from the written bytes: a checksum differs, or the file is truncated."""


class DivergedError(Exception):
    """A loss or a weight is no longer finite: the run ends with a message, and no checkpoint is overwritten."""


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the allowed name closest to `name`, or an empty string."""
    names = list(allowed)
    folded = {candidate.lower(): candidate for candidate in names}
    match = get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    return f" (did you mean '{folded[match[0]]}'?)" if match else ""


def plural(count: float | str, noun: str) -> str:
    """Return a count with its noun: ``1 image``, ``2,400 images``, ``3 classes``; `count` may be formatted text."""
    ending = "es" if noun.endswith(("s", "x", "ch")) else "s"
    return f"{count} {noun}" if str(count) == "1" else f"{count} {noun}{ending}"


def ratio_text(ratio: float) -> str:
    """Return a ratio with one decimal, or without one from 100 on: ``4.2``, ``1,805``."""
    return f"{ratio:.1f}" if ratio < 99.95 else f"{ratio:,.0f}"


def at_least(owner: str, least: float, **parameters: float) -> None:
    """Check numeric parameters of a component.

    Raises:
        UserError: if a number is below `least` or NaN; the message names the component, the parameter and its value.
    """
    for name, value in parameters.items():
        if not value >= least:
            raise UserError(f"{owner}.{name} {value} is not allowed; allowed: {least} and up")


def require(package: str, component: str) -> None:
    """Check that an optional package is installed, without importing it.

    Args:
        package: import name of the package, which is also its name for pip.
        component: the component that needs it.

    Raises:
        UserError: if the package is not installed.
    """
    spec = find_spec(package)
    # A plain folder of that name in the working directory, such as the one wandb leaves behind, has no loader.
    if spec is None or spec.origin is None:
        raise UserError(f"{component} needs the package {package}, which is not installed; pip install {package}")
