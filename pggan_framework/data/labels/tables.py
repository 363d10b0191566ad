"""Files that hold labels of other files: tables and JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pggan_framework.errors import UserError

FILE = "file"
"""The column of a table that names the files; without one it is the first."""
CLASS = "class"
"""What the one attribute of StyleGAN2-ADA's dataset.json is called here."""
FORMS = '{"labels": [["a.png", 3], ...]} or {"a.png": {"attribute": "value", ...}, ...}'

Rows = dict[str, dict[str, str]]
"""For each name its values by attribute."""


def read_table(path: Path, owner: str) -> tuple[list[str], Rows]:
    """Read a table of labels: its columns but the one of names, and for each name its values.

    Raises:
        UserError: if it is missing, is no text, has no column beside the names, or names a file twice.
    """
    lines = _text(path, f"{owner}.labels_csv").splitlines()
    separator = max(",;\t", key=lines[0].count) if lines else ","
    reader = csv.DictReader(lines, delimiter=separator, restval="", skipinitialspace=True)
    fields = [field.strip() for field in reader.fieldnames or []]
    reader.fieldnames = fields
    if len(fields) < 2:
        raise UserError(f"{path} has no column beside the files' names; its first line must name the columns")
    key = FILE if FILE in fields else fields[0]
    header = [field for field in fields if field and field != key]
    rows: Rows = {}
    try:
        for row in reader:
            name = _name(row[key] or "")
            if name in rows:
                raise UserError(f"{path} names {name} twice, again in line {reader.line_num}; allowed: once")
            rows[name] = {field: row[field] for field in header}
    except csv.Error as error:
        raise UserError(f"{path} is no table: {error}, line {reader.line_num}") from error
    return header, rows


def read_json(path: Path, owner: str) -> tuple[list[str], Rows]:
    """Read labels from JSON: the attributes there are, and for each name its values.

    It is StyleGAN2-ADA's dataset.json, ``{"labels": [["a.png", 3], ...]}``, which gives the attribute ``class``, or
    ``{"a.png": {"hair": "red", "age": 3}, ...}``. An attribute that is null is not there.

    Raises:
        UserError: if it is missing, is no JSON, has neither form, or names a file twice.
    """
    text = _text(path, f"{owner}.labels_json")
    try:
        found = json.loads(text, object_pairs_hook=_without_doubles)
    except json.JSONDecodeError as error:
        raise UserError(f"{path} is no JSON: {error.msg}, line {error.lineno}") from error
    except ValueError as error:
        raise UserError(f"{path} names {error} twice in one place; allowed: once") from error
    if not isinstance(found, dict) or not found:
        raise UserError(f"{path} holds no labels; allowed: {FORMS}")
    if not isinstance(next(iter(found.values())), Mapping) and "labels" in found:
        return [CLASS], {name: {CLASS: value} for name, value in _classes(found["labels"], path).items()}
    attributes: dict[str, None] = {}
    rows: Rows = {}
    for given, values in found.items():
        if not isinstance(values, Mapping):
            raise UserError(f"{path} has {_short(values)} for {given}; allowed: {FORMS}")
        name = _name(given)
        if name in rows:
            raise UserError(f"{path} names {name} twice; allowed: once")
        rows[name] = {key: _value(value, f"{given}, {key}", path) for key, value in values.items()}
        attributes.update(dict.fromkeys(values))
    return list(attributes), rows


def _classes(entries: Any, path: Path) -> dict[str, str]:
    """``[["a.png", 3], ...]`` as the class of each name."""
    if not isinstance(entries, list):
        raise UserError(f"{path} has {_short(entries)} under 'labels'; allowed: {FORMS}")
    classes: dict[str, str] = {}
    for entry in entries:
        if not isinstance(entry, list) or len(entry) != 2 or not isinstance(entry[0], str):
            raise UserError(
                f'{path} has {_short(entry)} among its labels; allowed: a name and a class, as ["a.png", 3]'
            )
        name = _name(entry[0])
        if name in classes:
            raise UserError(f"{path} names {name} twice; allowed: once")
        classes[name] = _value(entry[1], name, path)
    return classes


def _value(value: Any, where: str, path: Path) -> str:
    """One value as text; empty for null."""
    if isinstance(value, list | Mapping):
        raise UserError(f"{path} has {_short(value)} for {where}; allowed: one number or text")
    return "" if value is None else str(value)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(key)
        found[key] = value
    return found


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _name(text: str) -> str:
    """A file's name as the dataset has it."""
    return text.strip().replace("\\", "/").removeprefix("./")


def _text(path: Path, flag: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise UserError(f"{flag} {path} cannot be read: {reason}") from error
