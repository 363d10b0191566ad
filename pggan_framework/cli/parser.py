"""The argument parser of commands with plain flags."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from pggan_framework.errors import UserError


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UserError instead of printing the usage and exiting.

    Args:
        command: words of the command after ``pggan``.
        description: description of the command, printed unchanged.
        examples: examples at the end of the help.
        more: further arguments of argparse's parser.
    """

    def __init__(self, command: str, description: str, examples: str, **more: Any) -> None:
        more = {"formatter_class": argparse.RawDescriptionHelpFormatter, **more}
        super().__init__(f"pggan {command}", description=description, epilog=examples, allow_abbrev=False, **more)

    def error(self, message: str) -> NoReturn:
        """Raise the message as UserError."""
        raise UserError(f"{self.prog}: {message}; see '{self.prog} -h'")
