"""Packages that only some uses need."""

from __future__ import annotations

from importlib.util import find_spec

from pggan_framework.errors import UserError


def require(package: str, extra: str, component: str) -> None:
    """See that an optional package is installed, without importing it.

    Args:
        package: its import name.
        extra: the extra of this package that brings it.
        component: who needs it.

    Raises:
        UserError: if it is not installed.
    """
    spec = find_spec(package)
    # A mere folder of that name where the run starts, such as wandb leaves behind, has no loader of its own.
    if spec is None or spec.origin is None:
        raise UserError(
            f"{component} needs the package {package}, which is not installed; pip install 'pggan_framework[{extra}]'"
        )
