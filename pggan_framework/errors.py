"""The one exception that means: the user can mend this."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """A mistake in the input. The command line prints it as one line and exits with status 2.

    The message names what was given and what is allowed; it holds no newline.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class LocalError(UserError):
    """A mistake that other machines need not have: a file that is missing here. Each machine that has it tells it."""


class DivergedError(Exception):
    """A loss or a weight is no longer finite: the run ends with a message, and no checkpoint is overwritten."""


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the allowed name closest to `name`, or an empty string."""
    names = list(allowed)
    folded = {candidate.lower(): candidate for candidate in names}
    match = get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    return f" (did you mean '{folded[match[0]]}'?)" if match else ""
