"""Match rows of a table to files with differently written names."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pggan_framework.data.labels.tables import Table
from pggan_framework.data.walk import examples
from pggan_framework.errors import UserError

ENDING = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}$")
"""Pattern of a file extension; the ``.2`` of ``v1.2`` does not match."""
Way = Callable[[Sequence[str]], list[str]]
"""Maps names to the keys that are compared."""


@dataclass(frozen=True)
class Match:
    """The rows matched to files.

    Args:
        column: column of the table that contains the names.
        how: description of the comparison; empty if the names are identical.
        rows: row of each matched file.
        keys: names in the table, for messages.
    """

    column: str
    how: str
    rows: Mapping[str, Mapping[str, str]]
    keys: Sequence[str]

    def sides(self, names: Sequence[str]) -> str:
        """Example names of the files and of the table, for a message."""
        lost = [name for name in names if name not in self.rows]
        return f"the files are called {examples(lost or names)}; the table has {examples(list(self.keys)) or 'no rows'}"


def match(table: Table, names: Sequence[str]) -> Match:
    """Match rows to files by the strictest comparison that matches the most files.

    A row matches a file if the comparison maps no other row and no other file to the same key; ambiguous names are not
    matched.

    Args:
        table: table whose rows are matched.
        names: paths of the files relative to their folder, with ``/``.

    Raises:
        UserError: if two rows with different values belong to one file.
    """
    best: Match | None = None
    for column in table.name_columns:
        keys = [plain(row[column]) for row in table.rows]
        for how, way in WAYS.items():
            found = _matched(table, keys, names, way)
            if best is None or len(found) > len(best.rows):
                best = Match(column, how, found, keys)
            if len(found) == len(names):
                _check_doubles(table, column, keys, set(names))
                return best
    assert best is not None
    _check_doubles(table, best.column, best.keys, set(names))
    return best


def _matched(table: Table, keys: Sequence[str], names: Sequence[str], way: Way) -> dict[str, Mapping[str, str]]:
    """The row of each file that one method of comparison matches."""
    rows: dict[str, Mapping[str, str]] = {}
    ambiguous: set[str] = set()
    for looks, row in zip(way(keys), table.rows, strict=True):
        if rows.setdefault(looks, row) != row:
            ambiguous.add(looks)
    of_names = way(names)
    once = Counter(of_names)
    return {
        name: rows[looks]
        for name, looks in zip(names, of_names, strict=True)
        if looks and looks in rows and looks not in ambiguous and once[looks] == 1
    }


def _check_doubles(table: Table, column: str, keys: Sequence[str], names: set[str]) -> None:
    seen: dict[str, Mapping[str, str]] = {}
    for number, (key, row) in enumerate(zip(keys, table.rows, strict=True), 2):
        if seen.setdefault(key, row) != row and key in names:
            line = f", again in line {number}" if column else ""
            raise UserError(f"{table.where} names {key} twice{line}, with other values; allowed: once")


def plain(text: str) -> str:
    """A name with ``/`` as separator, without a leading ``./``."""
    text = text.strip().replace("\\", "/")
    while text.startswith("./"):
        text = text[2:]
    return text


def _folded(names: Sequence[str]) -> list[str]:
    return [name.casefold() for name in names]


def _without_common_folders(names: Sequence[str]) -> list[str]:
    """Remove the folders common to all names."""
    parts = [name.casefold().split("/") for name in names]
    common = len(os.path.commonprefix([part[:-1] for part in parts])) if parts else 0
    return ["/".join(part[common:]) for part in parts]


def _last(count: int) -> Way:
    return lambda names: ["/".join(name.casefold().split("/")[-count:]) for name in names]


def _without_ending(way: Way) -> Way:
    return lambda names: way([ENDING.sub("", name) for name in names])


def _without_zeros(names: Sequence[str]) -> list[str]:
    """Remove leading zeros from file names that are numbers."""
    stems = _without_ending(_last(1))(names)
    return [stem.lstrip("0") or "0" if stem.isdigit() else "" for stem in stems]


WAYS: dict[str, Way] = {
    "": list,
    "ignoring case": _folded,
    "without the folders that all have in common": _without_common_folders,
    "by the last two parts of the path": _last(2),
    "by file names alone": _last(1),
    "without endings": _without_ending(_folded),
    "without endings and the folders that all have in common": _without_ending(_without_common_folders),
    "by the last two parts of the path, without endings": _without_ending(_last(2)),
    "by file names alone, without endings": _without_ending(_last(1)),
    "by the numbers that the file names are": _without_zeros,
}
"""The methods of comparison by description, strictest first."""
