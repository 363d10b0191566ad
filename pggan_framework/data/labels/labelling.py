"""Labels of files, read from folders, file names, a table or JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pggan_framework.data.labels.matching import Match, match
from pggan_framework.data.labels.tables import Table, read_json, read_table
from pggan_framework.errors import UserError, nearest
from pggan_framework.labels.attributes import Labels, LabelSpace, collect, number

FOLDER = "folder"
"""Name of the attribute of files in subfolders: the first folder below the dataset's folder."""


@dataclass(frozen=True)
class FileLabels:
    """The value of every attribute for every file, as text.

    Args:
        columns: for each attribute, the values in the order of the files.
        source: description of where the labels come from.
        continuous: attributes that are numbers in a range.
    """

    columns: dict[str, list[str]]
    source: str
    continuous: tuple[str, ...] = ()

    def collect(self, files: Sequence[int] | None = None) -> tuple[LabelSpace, Labels]:
        """The label space and the labels [N, A] of the files with these indices (default: all files).

        Raises:
            UserError: if an attribute has the same value everywhere.
        """
        rows = self.columns
        if files is not None:
            rows = {name: [values[file] for file in files] for name, values in rows.items()}
        return collect(rows, self.continuous, exact=(FOLDER,))

    def identity(self) -> Any:
        """Plain values that identify the labels, for a fingerprint."""
        return [self.columns, self.continuous] if self.continuous else self.columns

    def describe(self, space: LabelSpace, labels: Labels, what: str) -> str:
        """Describe the attributes, their numbers of values, and the numbers of examples per value.

        Args:
            space: label space from `collect`.
            labels: [N, A].
            what: name of the labelled items: sounds, images.
        """
        words = []
        for attribute, counts in zip(space.attributes, space.counts(labels), strict=True):
            if attribute.span is not None or counts is None:
                low, high = attribute.span or (0.0, 0.0)
                words.append(f"{attribute.name}, continuous, {low:g} to {high:g}")
                continue
            words.append(
                f"{attribute.name}, {len(attribute.values)} values from {attribute.values[0]} to"
                f" {attribute.values[-1]}, {counts.min()} to {counts.max()} {what} each"
            )
        return f"{'; '.join(words)}; from {self.source}"


def read_labels(
    names: Sequence[str],
    wanted: Sequence[str] | None,
    table: Path | None,
    pattern: str | None,
    owner: str,
    json: Path | None = None,
    continuous: Sequence[str] | None = None,
    inside: Table | None = None,
) -> FileLabels | None:
    """Find the labels of files; returns None if no labels are requested.

    Args:
        names: paths of the files relative to the dataset's folder, with ``/``.
        wanted: requested attributes (default: the pattern's groups, or the only attribute of the table or JSON).
        table: a CSV file with a header; see `read_table`, and `match` for how rows are matched to files.
        pattern: a regular expression with named groups, searched in each name.
        owner: the dataset's name, for messages.
        json: a JSON file; see `parse_json`.
        continuous: the attributes that are numbers in a range.
        inside: labels stored with the files; used if no table, pattern or JSON is given.

    Raises:
        UserError: if a file has no label, or a continuous label is not a number; if an attribute or a column does not
            exist, the expression is invalid, a file is unreadable, or several of table, pattern and JSON are given.
    """
    given = [name for name, value in (("csv", table), ("pattern", pattern), ("json", json)) if value is not None]
    if len(given) > 1:
        raise UserError(f"{owner}.labels_{given[0]} and labels_{given[1]} are both given; allowed: one of them")
    if not given and wanted is None:
        if continuous:
            raise UserError(f"{owner}.continuous_labels {', '.join(continuous)} is given without {owner}.labels")
        return None
    matched: Match | None = None
    find: Callable[[str], Mapping[str, str | None]]
    read = read_table(table, owner) if table is not None else read_json(json, owner) if json is not None else inside
    if pattern is not None:
        search = _compiled(pattern, owner)
        available, source = list(search.groupindex), f"the files' names by {pattern}"
        find = lambda name: found.groupdict() if (found := search.search(name)) else {}  # noqa: E731
    elif read is not None:
        matched = match(read, names)
        rows = matched.rows
        available, find = read.attributes(matched.column), (lambda name: rows.get(name, {}))
        source = f"{'the table ' if table is not None else ''}{read.where}"
        if wanted is None and len(available) != 1:
            kind = "columns of labels" if table is not None else "attributes"
            raise UserError(
                f"{read.where} has {len(available)} {kind}: {', '.join(available)}; choose some with {owner}.labels"
            )
    else:
        available, find, source = [], (lambda name: {}), "the folders they are in"
    chosen = available if wanted is None else list(dict.fromkeys(wanted))
    allowed = [*available, *([] if FOLDER in available else [FOLDER])]
    for attribute in chosen:
        if attribute not in allowed:
            needs = "" if given or inside else "; others need labels_csv, labels_pattern or labels_json"
            raise UserError(
                f"{owner}.labels '{attribute}' is not known{nearest(attribute, allowed)};"
                f" allowed: {', '.join(allowed)}{needs}"
            )
    for attribute in continuous or ():
        if attribute not in chosen:
            raise UserError(
                f"{owner}.continuous_labels '{attribute}' is not a label{nearest(attribute, chosen)};"
                f" allowed: {', '.join(chosen)}"
            )
    columns = _columns(names, chosen, available, find, source, matched)
    for attribute in continuous or ():
        for name, value in zip(names, columns[attribute], strict=True):
            if number(value) is None:
                raise UserError(
                    f"{name} has the {attribute} '{value}' in {source}; allowed for a continuous label: a number"
                )
    if matched is not None and read is not None:
        notes = [*([f"files found {matched.how}"] if matched.how else []), *read.notes]
        source += f" ({'; '.join(notes)})" if notes else ""
    return FileLabels(columns, source, tuple(dict.fromkeys(continuous or ())))


def _columns(
    names: Sequence[str],
    chosen: Sequence[str],
    available: Sequence[str],
    find: Callable[[str], Mapping[str, str | None]],
    source: str,
    matched: Match | None,
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
            + (f"; {matched.sides(names)}" if matched is not None else "")
        )
    return columns


def _compiled(pattern: str, owner: str) -> re.Pattern[str]:
    try:
        search = re.compile(pattern)
    except re.error as error:
        raise UserError(f"{owner}.labels_pattern '{pattern}' is not a regular expression: {error}") from error
    if not search.groupindex:
        raise UserError(
            f"{owner}.labels_pattern '{pattern}' has no named group; allowed: one or more, such as _m(?P<pitch>\\d+)_"
        )
    return search


def _folder(name: str) -> str:
    """The first folder in a path; empty for a file that is not in a subfolder."""
    return name.partition("/")[0] if "/" in name else ""
