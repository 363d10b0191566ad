"""Files that contain the labels of other files: tables and JSON."""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pggan_framework.errors import UserError

NAME_COLUMNS = ("file", "file_name", "filename", "fname", "path", "filepath", "image", "image_id", "slice_file_name")
"""Columns that are tried first for the files' names, before the first column of the table and then the other columns.
"""
CLASS = "class"
"""Name of the single attribute of StyleGAN2-ADA's dataset.json."""
FORMS = '{"labels": [["a.png", 3], ...]} or {"a.png": {"attribute": "value", ...}, ...}'
NO_LIST = "none"
"""The value of an attribute with an empty list of texts."""


@dataclass(frozen=True)
class Table:
    """Labels of files, as text.

    Args:
        where: path of the file, for messages.
    columns: names of the attributes.
        rows: values of each row by column; a missing value is an empty text.
        name_columns: columns that may contain the files' names, the most likely first.
        notes: descriptions of guesses and omissions during reading.
    """

    where: str
    columns: list[str]
    rows: list[dict[str, str]]
    name_columns: list[str]
    notes: list[str] = field(default_factory=list)

    def attributes(self, key: str) -> list[str]:
        """All columns except the column of names."""
        return [column for column in self.columns if column != key]


def read_table(path: Path, owner: str) -> Table:
    """Read a table: the first line names the columns, separated by commas, semicolons, tabs or the ``sep=`` character.

    Text is read as UTF-8, UTF-16, or otherwise Windows-1252; empty rows are omitted. The notes mention both.

    Raises:
        UserError: if the file is missing, is not text, or has fewer than two columns.
    """
    text, notes = _text(path, f"{owner}.labels_csv")
    lines = text.splitlines()
    separator = None
    if lines and lines[0].strip().strip('"').lower().startswith("sep=") and len(lines[0].strip().strip('"')) == 5:
        separator = lines.pop(0).strip().strip('"')[-1]
    separator = separator or (max(",;\t|", key=lines[0].count) if lines else ",")
    reader = csv.DictReader(lines, delimiter=separator, restval="", skipinitialspace=True)
    fields = [name.strip() for name in reader.fieldnames or []]
    reader.fieldnames = fields
    columns = list(dict.fromkeys(name for name in fields if name))
    if len(columns) < 2:
        raise UserError(f"{path} has no column next to the files' names; its first line must name the columns")
    rows = []
    empty = 0
    try:
        for row in reader:
            values = {name: (row[name] or "").strip() for name in columns}
            if any(values.values()):
                rows.append(values)
            else:
                empty += 1
    except csv.Error as error:
        raise UserError(f"{path} is not a table: {error}, line {reader.line_num}") from error
    if empty:
        notes.append(f"{empty} empty rows left out")
    likely = [name for known in NAME_COLUMNS for name in columns if name.lower() == known]
    return Table(str(path), columns, rows, list(dict.fromkeys([*likely, *columns])), notes)


def read_json(path: Path, owner: str) -> Table:
    """Read labels from JSON; see `parse_json`.

    Raises:
        UserError: if the file is missing, and the errors of `parse_json`.
    """
    text, notes = _text(path, f"{owner}.labels_json")
    table = parse_json(text, str(path))
    if table is None:
        raise UserError(f"{path} has null under 'labels'; allowed: {FORMS}")
    table.notes.extend(notes)
    return table


def parse_json(text: str, where: str) -> Table | None:
    """Parse labels in JSON; the name of the column with the file names is "".

    Accepts StyleGAN2-ADA's dataset.json, ``{"labels": [["a.png", 3], ...]}``, which gives the attribute ``class``, or
    ``{"a.png": {"hair": "red", "age": 3}, ...}``. A null attribute counts as missing. A list of numbers becomes the
    attributes ``NAME_0``, ``NAME_1`` ...; a one-hot list in dataset.json becomes the class; a list of texts is joined
    by ``+``.

    Args:
        text: content of the file.
        where: path of the file, for messages.

    Returns:
        None if the labels are null.

    Raises:
        UserError: if the text is not JSON, or has neither structure.
    """
    try:
        found = json.loads(text, object_pairs_hook=_without_doubles)
    except json.JSONDecodeError as error:
        raise UserError(f"{where} is not JSON: {error.msg}, line {error.lineno}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where} names {error} twice in the same object; allowed: once") from error
    if isinstance(found, list) and found:
        found = {"labels": found}
    if not isinstance(found, dict) or not found:
        raise UserError(f"{where} holds no labels; allowed: {FORMS}")
    if "labels" in found and not isinstance(found["labels"], Mapping):
        entries = found["labels"]
        return None if entries is None else _table(_classes(entries, where), where)
    rows: list[tuple[str, dict[str, str]]] = []
    for name, values in found.items():
        if not isinstance(values, Mapping):
            raise UserError(f"{where} has {_short(values)} for {name}; allowed: {FORMS}")
        row: dict[str, str] = {}
        for key, value in values.items():
            row |= _values(str(key), value, f"{name}, {key}", where)
        rows.append((name, row))
    return _table(rows, where)


def _table(rows: list[tuple[str, dict[str, str]]], where: str) -> Table:
    columns = dict.fromkeys(column for _, row in rows for column in row)
    return Table(where, ["", *columns], [{"": name, **dict.fromkeys(columns, ""), **row} for name, row in rows], [""])


def _classes(entries: Any, where: str) -> list[tuple[str, dict[str, str]]]:
    """Parse rows of ``[["a.png", 3], ...]``: numbers, texts, one-hot lists are classes; other lists are attributes."""
    if not isinstance(entries, list):
        raise UserError(f"{where} has {_short(entries)} under 'labels'; allowed: {FORMS}")
    for entry in entries:
        if not isinstance(entry, list) or len(entry) != 2 or not isinstance(entry[0], str):
            raise UserError(
                f'{where} has {_short(entry)} among its labels; allowed: a name and a class, as ["a.png", 3], or null'
            )
    lists = {len(value) if isinstance(value, list) else 0 for _, value in entries}
    one_hot = lists and min(lists) > 1 and all(v.count(1) == 1 and v.count(0) == len(v) - 1 for _, v in entries)
    if len(lists) == 1 and one_hot:
        entries, lists = [[name, value.index(1)] for name, value in entries], {0}
    if len(lists) > 1:
        odd = next(value for _, value in entries if isinstance(value, list))
        raise UserError(f"{where} has labels such as {_short(odd)} and others of different lengths; allowed: {FORMS}")
    key = "label" if lists != {0} else CLASS
    return [(name, _values(key, value, name, where)) for name, value in entries]


def _values(key: str, value: Any, of: str, where: str) -> dict[str, str]:
    """One value as text, empty for null; a list of numbers gives several values."""
    if isinstance(value, list):
        if all(isinstance(one, str) for one in value):
            return {key: "+".join(value) or NO_LIST}
        if all(isinstance(one, int | float) for one in value):
            return {f"{key}_{place}": str(one) for place, one in enumerate(value)}
    if isinstance(value, list | Mapping):
        raise UserError(f"{where} has {_short(value)} for {of}; allowed: numbers or text, or a list of them")
    return {key: "" if value is None else str(value)}


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found and found[key] != value:
            raise ValueError(key)
        found[key] = value
    return found


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _text(path: Path, flag: str) -> tuple[str, list[str]]:
    """The text of a file, and notes about its guessed encoding."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{flag} {path} cannot be read: {error.strerror}") from error
    try:
        if content.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
            return content.decode("utf-32"), []
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return content.decode("utf-16"), []
        for place, kind in ((1, "utf-16-le"), (0, "utf-16-be")):
            if len(content) > 2 and content[place:64:2].strip(b"\0") == b"":
                return content.decode(kind), ["read as UTF-16, since every second byte is 0"]
        return content.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        try:
            if b"\0" not in content and not content.startswith(b"\x89"):
                return content.decode("cp1252"), ["read as Windows-1252, since it is not UTF-8"]
        except UnicodeDecodeError:
            pass
    raise UserError(f"{flag} {path} cannot be read: it is not text in UTF-8, UTF-16 or Windows-1252")
