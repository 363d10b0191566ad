"""What files are labelled with: by the folder they lie in, by their names, or by a table."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pggan_framework.errors import UserError, nearest

FOLDER = "folder"
"""The attribute every file in a folder has: the first folder below the dataset's."""
FILE = "file"
"""The column of a table that names the files; without one it is the first."""


@dataclass(frozen=True)
class FileLabels:
    """The value of every attribute for every file, as text.

    Args:
        columns: for each attribute the values, in the order of the files.
        source: where they come from, in words.
    """

    columns: dict[str, list[str]]
    source: str

    def rows(self, files: Sequence[int]) -> dict[str, list[str]]:
        """The values of these files, by their numbers; what `labels.collect` takes."""
        return {name: [values[file] for file in files] for name, values in self.columns.items()}


def read_labels(
    names: Sequence[str],
    wanted: Sequence[str] | None,
    table: Path | None,
    pattern: str | None,
    owner: str,
) -> FileLabels | None:
    """Find the labels of files; None where none are asked for.

    Args:
        names: the files, relative to the dataset's folder, with ``/``.
        wanted: the attributes. By default the pattern's groups, or the table's one column beside the files' names.
        table: a CSV file with a header; commas, semicolons or tabs.
        pattern: a regular expression with named groups, searched in each name.
        owner: the dataset's name, for messages.

    Raises:
        UserError: if a file has no label, an attribute or a column is not there, the expression is none, the table
            cannot be read, or both it and a pattern are given.
    """
    if table is not None and pattern is not None:
        raise UserError(f"{owner}.labels_csv and labels_pattern are both given; allowed: one of them")
    find: Callable[[str], Mapping[str, str | None]]
    if table is not None:
        available, rows = read_table(table, owner)
        find, source = (lambda name: rows.get(name, {})), f"the table {table}"
        if wanted is None and len(available) != 1:
            columns = ", ".join(available)
            raise UserError(f"{table} has {len(available)} columns of labels: {columns}; choose with {owner}.labels")
    elif pattern is not None:
        search = _compiled(pattern, owner)
        available, source = list(search.groupindex), f"the files' names by {pattern}"
        find = lambda name: match.groupdict() if (match := search.search(name)) else {}  # noqa: E731
    elif wanted is not None:
        available, find, source = [], (lambda name: {}), "the folders they lie in"
    else:
        return None
    chosen = available if wanted is None else list(dict.fromkeys(wanted))
    allowed = [*available, *([] if FOLDER in available else [FOLDER])]
    for attribute in chosen:
        if attribute not in allowed:
            needs = "" if table or pattern else "; others need labels_csv or labels_pattern"
            raise UserError(
                f"{owner}.labels '{attribute}' is not known{nearest(attribute, allowed)};"
                f" allowed: {', '.join(allowed)}{needs}"
            )
    return FileLabels(_columns(names, chosen, available, find, source), source)


def _columns(
    names: Sequence[str],
    chosen: Sequence[str],
    available: Sequence[str],
    find: Callable[[str], Mapping[str, str | None]],
    source: str,
) -> dict[str, list[str]]:
    columns: dict[str, list[str]] = {attribute: [] for attribute in chosen}
    without: list[tuple[str, str]] = []
    for name in names:
        values = find(name)
        for attribute in chosen:
            value = values.get(attribute) if attribute in available else _folder(name)
            columns[attribute].append((value or "").strip())
            if not columns[attribute][-1]:
                without.append((name, attribute))
    if without:
        name, attribute = without[0]
        files = len({name for name, _ in without})
        raise UserError(
            f"{name} has no label {attribute} in {source}"
            + (f", nor have {files - 1} more files a label" if files > 1 else "")
            + f"; of {len(names)} files {len(names) - files} are labelled, and all must be"
        )
    return columns


def read_table(path: Path, owner: str) -> tuple[list[str], dict[str, dict[str, str]]]:
    """Read a table of labels: its columns but the one of names, and for each name its values.

    Raises:
        UserError: if it is missing, is no text, has no column beside the names, or names a file twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise UserError(f"{owner}.labels_csv {path} cannot be read: {reason}") from error
    lines = text.splitlines()
    separator = max(",;\t", key=lines[0].count) if lines else ","
    reader = csv.DictReader(lines, delimiter=separator, restval="", skipinitialspace=True)
    fields = [field.strip() for field in reader.fieldnames or []]
    reader.fieldnames = fields
    if len(fields) < 2:
        raise UserError(f"{path} has no column beside the files' names; its first line must name the columns")
    key = FILE if FILE in fields else fields[0]
    header = [field for field in fields if field and field != key]
    rows: dict[str, dict[str, str]] = {}
    try:
        for row in reader:
            name = (row[key] or "").strip().replace("\\", "/").removeprefix("./")
            if name in rows:
                raise UserError(f"{path} names {name} twice, again in line {reader.line_num}; allowed: once")
            rows[name] = {field: row[field] for field in header}
    except csv.Error as error:
        raise UserError(f"{path} is no table: {error}, line {reader.line_num}") from error
    return header, rows


def _compiled(pattern: str, owner: str) -> re.Pattern[str]:
    try:
        search = re.compile(pattern)
    except re.error as error:
        raise UserError(f"{owner}.labels_pattern '{pattern}' is no regular expression: {error}") from error
    if not search.groupindex:
        raise UserError(
            f"{owner}.labels_pattern '{pattern}' has no named group; allowed: one or more, such as _m(?P<pitch>\\d+)_"
        )
    return search


def _folder(name: str) -> str:
    """The first folder of a name; empty for a file that lies in none."""
    return name.partition("/")[0] if "/" in name else ""
