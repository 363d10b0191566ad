"""ClassName.param from constructor signatures, YAML and the command line: one resolved Config."""

from pggan_framework.config.config import Config
from pggan_framework.config.general import General
from pggan_framework.config.resolve import resolve, resolve_overrides

__all__ = ["Config", "General", "resolve", "resolve_overrides"]
