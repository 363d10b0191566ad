"""Writes the pages of the reference that follow from the code: flags, components, commands, the Python API."""

from __future__ import annotations

import contextlib
import html
import inspect
import io
import re
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import docstring_parser
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parents[2]))

from pggan_framework.cli.main import COMMANDS, main
from pggan_framework.config.convert import describe, plain
from pggan_framework.config.discovery import Entry, index, load_all
from pggan_framework.config.general import General
from pggan_framework.config.parameters import Parameter, default_of, parameters
from pggan_framework.config.text import dump_line
from pggan_framework.registry import REGISTRY

KINDS = {
    "dataset": "Datasets", "codec": "Codecs", "generator": "Generators", "discriminator": "Discriminators",
    "loss": "Losses", "penalty": "Penalties", "augmentation": "Augmentations", "schedule": "Schedules",
    "optimizer": "Optimizers", "training": "Training", "plugin": "Plugins", "postprocessor": "Savers",
    "logger": "Loggers", "metric": "Metrics", "extractor": "Extractors",
}  # fmt: skip
"""The kinds of components, in the order of the site's navigation, and the titles of their pages."""
API = {
    "pggan_framework": "Top level",
    "pggan_framework.audio": "Codecs",
    "pggan_framework.networks": "Networks",
    "pggan_framework.metrics": "Metrics",
}
"""The modules whose ``__all__`` is the public Python API."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages (mkdocs calls this once per build)."""
    load_all()
    entries = index([])
    missing = {entry.kind for entry in entries} - KINDS.keys()
    if missing:
        raise ValueError(f"docs/_hooks/reference.py has no title for components of the kind {sorted(missing)}")
    pages = {"reference/flags.md": general_page(), "reference/commands.md": commands_page()}
    pages |= {f"reference/components/{kind}.md": kind_page(kind, entries) for kind in KINDS}
    pages["reference/python-api.md"] = api_page()
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def general_page() -> str:
    """Every general flag of ``pggan train``."""
    head = (
        "# General flags\n\nThese flags of `pggan train` belong to no component. Generated from the code.\n"
        "How to write flags and config files: [command line](command-line.md).\n\n"
    )
    return head + listed("--", parameters(General).values())


def kind_page(kind: str, entries: list[Entry]) -> str:
    """Every component of a kind with its flags."""
    parts = [f"# {KINDS[kind]}\n\nGenerated from the code. In a terminal: `pggan components NAME`.\n"]
    for entry in (entry for entry in entries if entry.kind == kind):
        cls = REGISTRY.get(entry.name).cls
        about = docstring_parser.parse(inspect.getdoc(cls) or "")
        also = f"Also called: {', '.join(f'`{name}`' for name in entry.aliases)}.\n" if entry.aliases else ""
        text = "\n\n".join(escaped(each) for each in (about.short_description, about.long_description) if each)
        flags = parameters(cls, entry.name).values()
        if kind == "codec":
            flags, also = (), also + "Its parameters are those of the dataset that uses it.\n"
        body = listed(f"--{entry.name}.", flags)
        parts.append(f"## {entry.name}\n\n{text}\n\n{also}\n{body}")
    return "\n".join(parts)


def commands_page() -> str:
    """What ``-h`` prints for each command of ``pggan``."""
    parts = ["# Commands\n\nWhat `pggan COMMAND -h` prints. Generated from the code.\n"]
    for command, about in COMMANDS.items():
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            main([command, "-h"])
        parts.append(f"## pggan {command}\n\n{escaped(about)}\n\n```text\n{out.getvalue().strip()}\n```\n")
    return "\n".join(parts)


def api_page() -> str:
    """Signature and docstring of each public name."""
    parts = ["# Python API\n\nEvery public name with its types. Generated from the code.\n"]
    for module, title in API.items():
        parts.append(f"## {title}: `{module}`\n")
        found = import_module(module)
        for name in sorted(found.__all__):
            parts.append(f"### {name}\n\n{api_entry(name, getattr(found, name))}\n")
    return "\n".join(parts)


def api_entry(name: str, item: Any) -> str:
    """One name: its signature, its docstring, and of a class its public methods."""
    if not callable(item):
        return f"`{escaped(repr(item))}`"
    lines = [f"```python\n{'class ' if inspect.isclass(item) else ''}{name}{signature(item)}\n```\n", prose(item)]
    if inspect.isclass(item):
        for member, value in vars(item).items():
            if member.startswith("_") or not (inspect.isfunction(value) or isinstance(value, property | classmethod)):
                continue
            call = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
            first = (inspect.getdoc(call) or "").partition("\n")[0]
            shown = member if isinstance(value, property) else f"{member}{signature(call)}"
            lines.append(f"- `{shown}`{': ' + escaped(first) if first else ''}")
    return "\n".join(lines)


def signature(call: Any) -> str:
    """``(path: Path, depth: int = 3) -> str``, without the names of our modules."""
    try:
        text = str(inspect.signature(call))
    except (TypeError, ValueError):
        return "(...)"
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", text)  # annotations are strings
    if inspect.isclass(call):
        text = text.removesuffix(" -> None")
    return text.replace("(self, ", "(").replace("(self)", "()").replace("(cls, ", "(")


def prose(item: Any) -> str:
    """A docstring as Markdown: description, parameters, result."""
    doc = docstring_parser.parse(inspect.getdoc(item) or "")
    parts = [escaped(each) for each in (doc.short_description, doc.long_description) if each]
    if doc.params:
        parts.append("\n".join(f"- `{each.arg_name}`: {escaped(each.description or '')}" for each in doc.params))
    if doc.returns and doc.returns.description:
        parts.append(f"Returns {escaped(doc.returns.description)}")
    parts += [f"Raises `{each.type_name}` {escaped(each.description or '')}" for each in doc.raises]
    return "\n\n".join(parts) + "\n"


def listed(prefix: str, flags: Iterable[Parameter]) -> str:
    """A paragraph for each flag: name, type, default, help."""
    items = []
    for flag in flags:
        kind, about = escaped(describe(flag.kind)), " ".join(escaped(flag.help).split())
        items.append(f"`{prefix}{flag.name}` ({kind}; {default(flag)})\n:   {about or 'no description'}\n")
    return "\n".join(items)


def default(flag: Parameter) -> str:
    """A flag's default as it is typed."""
    if flag.required:
        return "required"
    value = default_of(flag)
    return f"default: `{dump_line(plain(value)) if value is not None else None}`"


def escaped(text: str) -> str:
    """Text of a docstring, as Markdown that shows it; code in backquotes stays code."""
    parts = re.split(r"(`[^`]+`)", text.replace("``", "`"))
    for at in range(0, len(parts), 2):
        parts[at] = html.escape(parts[at], quote=False).replace("*", "\\*").replace("[", "\\[")
    return "".join(parts)
