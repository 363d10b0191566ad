"""Configuration: flags ``ClassName.param`` from constructor signatures, YAML files and the command line."""

from pggan_framework.config.config import Config
from pggan_framework.config.general import General
from pggan_framework.config.resolve import resolve, resolve_overrides

__all__ = ["Config", "General", "resolve", "resolve_overrides"]
