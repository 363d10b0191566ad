"""YAML for configs: ``None`` and ``1e-3`` are None and a number, and a repeated key is an error."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pggan_framework.errors import UserError
from pggan_framework.storage.limits import read_text

if TYPE_CHECKING:
    from yaml import SafeDumper
else:  # libyaml is three times as fast, if PyYAML was built with it
    SafeDumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

_NULL = "tag:yaml.org,2002:null"
_FLOAT = "tag:yaml.org,2002:float"
_INT = "tag:yaml.org,2002:int"
_WHOLE = re.compile(r"^(?:[-+]?(?:0|[1-9][0-9_]*)|[-+]?0b[01_]+|[-+]?0x[0-9a-fA-F_]+)$")
"""Integers. YAML 1.1 parses 0123 as octal and 1:30 as 90; here both are text, and 0123 converts to 123 for an int."""
_CLOCK = re.compile(r"[-+]?[0-9]+(?::[0-9]+)+(?:\.[0-9]*)?")
_ZEROS = re.compile(r"^[-+]?0[0-9]+$")
_EXPONENT = re.compile(r"^[-+]?(?:[0-9][0-9_]*|[0-9]*\.[0-9]+|[0-9]+\.)[eE][-+]?[0-9]+$")


LONGEST = 64 << 10
"""Largest size of a config file in bytes; a resolved config has about ten thousand."""
_MOST_VALUES, _DEEPEST, _LONGEST_NUMBER = 20_000, 32, 100
"""Limits: values of a config with its aliases expanded, nesting depth, and characters of a number."""


class _Limits(yaml.SafeLoader):
    """Safe loader with limits: a few lines of aliases can expand to more values than memory can hold."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0
        self._sizes: dict[int, tuple[int, int]] = {}  # number of values and depth by node

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._depth += 1
        if self._depth > _DEEPEST:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem=f"values are nested more than {_DEEPEST} deep", problem_mark=mark)
        alias = self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is not None and not alias:
            self._check_size(node)
        elif node is not None and id(node) not in self._sizes:
            raise yaml.MarkedYAMLError(problem="an alias refers to its own parent", problem_mark=node.start_mark)
        return node

    def _check_size(self, node: yaml.Node) -> None:
        """Count the values of a node with its aliases expanded; its children have been counted."""
        children: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            children = [each for pair in node.value for each in pair]
        elif isinstance(node, yaml.SequenceNode):
            children = node.value
        below = [self._sizes[id(child)] for child in children]
        count, depth = 1 + sum(size for size, _ in below), 1 + max((deep for _, deep in below), default=0)
        self._sizes[id(node)] = count, depth
        if count > _MOST_VALUES or depth > _DEEPEST:
            limits = f"allowed: {_MOST_VALUES:,}, nested {_DEEPEST} deep"
            raise yaml.MarkedYAMLError(problem=f"too many values; {limits}", problem_mark=node.start_mark)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        if len(node.value) > _LONGEST_NUMBER:
            raise yaml.MarkedYAMLError(problem="a number is too long", problem_mark=node.start_mark)
        return int(super().construct_yaml_int(node))


_Limits.add_constructor("tag:yaml.org,2002:int", _Limits.construct_yaml_int)


class _Loader(_Limits):
    """Safe loader with limits that rejects repeated keys; dates remain text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if (key.tag, key.value) in seen:
                    raise yaml.MarkedYAMLError(problem=f"key '{key.value}' is given twice", problem_mark=key.start_mark)
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


class _Dumper(SafeDumper):
    """Safe dumper without references; the values of a parameter are on one line."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: SafeDumper, text: str) -> yaml.ScalarNode:
    """Represent text; a Unicode line break needs escapes, which only double quotes support."""
    style = '"' if any(mark in text for mark in "\x85\u2028\u2029\ufeff") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in ("tag:yaml.org,2002:timestamp", _INT)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
# Register all forms that the loader does not parse as text with the dumper, so that such text is quoted.
for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver(_NULL, re.compile("^None$"), ["N"])
    _class.add_implicit_resolver(_FLOAT, _EXPONENT, list("-+.0123456789"))
_Loader.add_implicit_resolver(_INT, _WHOLE, list("-+0123456789"))


def load_value(text: str) -> Any:
    """Parse one YAML value. Text that is not YAML is returned unchanged."""
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError):
        return text


def whole_numbers(value: Any) -> Any:
    """Convert ``0123`` and ``1e3`` to integers, also in lists and dicts; other values are unchanged."""
    if isinstance(value, dict):
        return {whole_numbers(key): whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(whole_numbers, value))
    if isinstance(value, str) and _ZEROS.fullmatch(value.strip()):
        return int(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def is_clock(text: str) -> bool:
    """True if text looks like ``1:30``, which YAML 1.1 parses as 90."""
    return bool(_CLOCK.fullmatch(text.strip()))


def load_words(text: str) -> Any:
    """Parse like `load_value`, but keep scalars as text: ``[a, 1]`` is ``["a", "1"]``."""
    try:
        return yaml.load(text, yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError):
        return text


def load_file(path: Path) -> dict[str, Any]:
    """Load the mapping in a config file; an empty file is an empty mapping.

    Raises:
        UserError: if the file cannot be read, is not YAML, does not contain a mapping or repeats a key.
    """
    try:
        content = yaml.load(read_text(path, LONGEST), _Loader)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"config file {path}{line}: {error.problem}") from error
    except (yaml.YAMLError, ValueError, OSError) as error:
        raise UserError(f"config file {path}: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(f"config file {path} holds a {type(content).__name__}; allowed: lines of 'flag: value'")
    return content


def dump_line(value: Any) -> str:
    """Format a plain value on one line: ``{6: 14, 7: 6}``, ``[0.0, 0.99]``, ``text``."""
    # 0.0 and -0.0 are equal, so a cache would confuse them.
    return _dump_scalar(value) if type(value) in (str, bool, int, type(None)) else _dump(value)


def _dump(value: Any) -> str:
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=10**9, sort_keys=False, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


@lru_cache(maxsize=2048, typed=True)
def _dump_scalar(value: str | bool | int | None) -> str:
    """Format a scalar; cached, since names and most values are the same in all configs."""
    return _dump(value)


def dump(content: Mapping[str, Any]) -> str:
    """Format a config as text: one line per flag, components with one indented line per parameter."""
    lines = []
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            lines += [
                f"{dump_line(key)}:",
                *(f"  {dump_line(name)}: {dump_line(item)}" for name, item in value.items()),
            ]
        else:
            lines.append(f"{dump_line(key)}: {dump_line(value)}")
    return "\n".join(lines) + "\n"
