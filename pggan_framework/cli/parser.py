"""The argument parser of commands with plain flags."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from pggan_framework.errors import UserError


class Parser(argparse.ArgumentParser):
    """Raises UserError where argparse would print its usage and exit.

    Args:
        command: the words after ``pggan``.
        description: what it does, printed unchanged.
        examples: the end of the help.
        more: further arguments of argparse's.
    """

    def __init__(self, command: str, description: str, examples: str, **more: Any) -> None:
        more = {"formatter_class": argparse.RawDescriptionHelpFormatter, **more}
        super().__init__(f"pggan {command}", description=description, epilog=examples, allow_abbrev=False, **more)

    def error(self, message: str) -> NoReturn:
        """Raise the message."""
        raise UserError(f"{self.prog}: {message}; see '{self.prog} -h'")
