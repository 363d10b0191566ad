"""The parser of the commands that have plain flags."""

from __future__ import annotations

import argparse
from typing import NoReturn

from pggan_framework.errors import UserError


class Parser(argparse.ArgumentParser):
    """Raises UserError where argparse would print its usage and exit."""

    def error(self, message: str) -> NoReturn:
        """Raise the message."""
        raise UserError(f"{self.prog}: {message}; see '{self.prog} -h'")
