"""Parse a command line, a config file or a Python mapping into settings, before any component is known."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from pggan_framework.config.general import General
from pggan_framework.errors import UserError

GENERAL_FLAGS = tuple(f.name for f in fields(General))
COMMAND_FLAGS = ("config", "print_config", "help", "help_component")
"""Flags of the command line that are not allowed in a config file."""

_FLAG = re.compile(r"--[A-Za-z_]")
_PAIRS = {"]": "[", ")": "(", "}": "{"}
_ALONE = object()


@dataclass(frozen=True)
class Setting:
    """One value given by the user.

    Args:
        owner: name of the component as given; empty for a general flag.
        name: name of the flag or parameter; empty if only an unknown `owner` was given.
        key: the rest of a dotted name: a dict key or a list index.
        value: given value; text if it comes from a command line.
        where: name of the setting in messages: ``--Adam.betas``, ``config.yaml: Adam.betas``.
        text: True if the value comes from a command line.
    """

    owner: str
    name: str
    key: str
    value: Any
    where: str
    text: bool = False

    @property
    def dotted(self) -> str:
        """``Adam.betas`` or ``total_kimg``, without the key."""
        return ".".join(part for part in (self.owner, self.name) if part)

    def named(self, owner: str, name: str) -> Setting:
        """Return the same value for another parameter."""
        return replace(self, owner=owner, name=name)


@dataclass(frozen=True)
class Layer:
    """The settings of one source; a later layer overrides an earlier one."""

    settings: tuple[Setting, ...]
    given: bool = True
    """False for a stored config, which is not part of this call."""


@dataclass
class CommandLine:
    """The config files and settings of a command line, in order."""

    configs: list[str] = field(default_factory=list)
    settings: list[Setting] = field(default_factory=list)


def parse_argv(argv: Sequence[str]) -> CommandLine:
    """Parse ``--flag value``, ``--flag=value`` and ``--flag`` alone (True, for a bool).

    Words that the shell split inside brackets are joined: ``[ImageSaver,`` ``SoundSaver]`` is one value.

    Raises:
        UserError: if a word does not belong to a flag.
    """
    line = CommandLine()
    words = list(argv)
    while words:
        word = words.pop(0)
        if not _FLAG.match(word):
            raise UserError(f"unexpected '{word}'; allowed: --flag value, and config files as --config FILE")
        flag, equals, value = word[2:].partition("=")
        values = [value] if equals else []
        while words and not _FLAG.match(words[0]) and (not values or _is_open(" ".join(values))):
            values.append(words.pop(0))
        if flag == "config":
            if not values:
                raise UserError("--config needs a file")
            line.configs.append(" ".join(values))
        else:
            line.settings.append(_setting(flag, " ".join(values) if values else _ALONE, f"--{flag}", text=True))
    return line


def parse_mapping(content: Mapping[str, Any], source: str) -> list[Setting]:
    """Parse nested or dotted keys: ``Adam: {betas: [0, 0.9]}`` is ``Adam.betas: [0, 0.9]``.

    Raises:
        UserError: if a key is not text.
    """
    settings = []
    for key, value in content.items():
        if not isinstance(key, str):
            raise UserError(f"{source}unknown key '{key}'; allowed: general flags and names of components")
        if key not in GENERAL_FLAGS and "." not in key and (isinstance(value, Mapping) or value is None):
            for name, item in (value or {}).items():
                settings.append(_setting(f"{key}.{name}", item, f"{source}{key}.{name}"))
            if not value:
                settings.append(Setting(key, "", "", None, f"{source}{key}"))
        else:
            settings.append(_setting(key, value, f"{source}{key}"))
    return settings


def is_alone(setting: Setting) -> bool:
    """True if a flag was given without a value."""
    return setting.value is _ALONE


def _setting(dotted: str, value: Any, where: str, text: bool = False) -> Setting:
    head, _, rest = dotted.partition(".")
    if head in GENERAL_FLAGS:
        return Setting("", head, rest, value, where, text)
    name, _, key = rest.partition(".")
    return Setting(head, name, key, value, where, text)


def _is_open(text: str) -> bool:
    """True if `text` has an unclosed bracket; quoted brackets do not count."""
    if text[:1] not in _PAIRS.values():
        return False
    stack: list[str] = []
    quote = ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in _PAIRS.values():
            stack.append(character)
        elif stack and stack[-1] == _PAIRS.get(character):
            stack.pop()
    return bool(stack)
