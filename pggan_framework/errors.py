"""The one exception that means: the user can mend this."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from importlib.util import find_spec


class UserError(Exception):
    """A mistake in the input. The command line prints it as one line and exits with status 2.

    The message names what was given and what is allowed; it holds no newline, and control characters, which a file's
    names may have, are written out.
    """

    def __init__(self, message: str) -> None:
        line = " ".join(message.split())
        super().__init__("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line))


class LocalError(UserError):
    """A mistake that other machines need not have: a file that is missing here. Each machine that has it tells it."""


class DamagedError(UserError):
    """A file's bytes are not those that were written: a checksum differs, or it is cut short."""


class DivergedError(Exception):
    """A loss or a weight is no longer finite: the run ends with a message, and no checkpoint is overwritten."""


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the allowed name closest to `name`, or an empty string."""
    names = list(allowed)
    folded = {candidate.lower(): candidate for candidate in names}
    match = get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    return f" (did you mean '{folded[match[0]]}'?)" if match else ""


def require(package: str, component: str) -> None:
    """See that an optional package is installed, without importing it.

    Args:
        package: its import name, which pip knows too.
        component: who needs it.

    Raises:
        UserError: if it is not installed.
    """
    spec = find_spec(package)
    # A mere folder of that name where the run starts, such as wandb leaves behind, has no loader of its own.
    if spec is None or spec.origin is None:
        raise UserError(f"{component} needs the package {package}, which is not installed; pip install {package}")
