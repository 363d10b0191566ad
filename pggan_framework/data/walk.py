"""Folder traversal for all readers, so that they all find, ignore and count the same files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SYSTEM_NAMES = frozenset(
    [
        *("__macosx", "@eadir", "@recycle", "#recycle", "$recycle.bin", "system volume information", "lost+found"),
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__pycache__"),
    ]
)
"""Names, in lower case, that file managers, archivers and network drives leave in folders; names that begin with a dot
are hidden everywhere."""
NAMED = 3
"""Number of example names in one line."""


@dataclass(frozen=True)
class Tree:
    """The result of a traversal; names are relative to the folder, with ``/``.

    Args:
        folder: the root of the traversal.
        names: all files except those left out, ordered by code points; they include broken links.
        left_out: hidden and system files and folders (folder names end in ``/``), pipes and devices.
        repeated: links to folders that have already been read, such as a link to a parent folder.
        unread: unreadable folders, and the reasons.
    """

    folder: Path
    names: list[str]
    left_out: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)

    def split(self, suffixes: Collection[str]) -> tuple[list[str], list[str]]:
        """The names with one of these extensions (lower case, with the dot), and all other names."""
        wanted: list[str] = []
        others: list[str] = []
        for name in self.names:
            (wanted if ending(name) in suffixes else others).append(name)
        return wanted, others

    def paths(self, suffixes: Collection[str]) -> tuple[list[Path], list[Path]]:
        """The result of `split` as paths, sorted part by part."""
        wanted, others = self.split(suffixes)
        return sorted(self.folder / name for name in wanted), sorted(self.folder / name for name in others)

    def described(self, others: Iterable[str], kind: str) -> dict[str, str]:
        """Summary lines about everything that is not used, one line per kind.

        Args:
            others: names of unused files.
            kind: name of the used files: images, recordings.
        """
        lines = {}
        if line := by_ending(others):
            lines["other files"] = f"{line}; not read as {kind}"
        if self.left_out:
            lines["hidden or system files"] = f"{named(self.left_out)}; left out"
        if self.repeated:
            lines["links"] = f"{named(self.repeated)}; they lead to folders that are read already"
        if self.unread:
            lines["folders"] = f"{named(self.unread)}; cannot be read"
        return lines


def walk(folder: Path) -> Tree:
    """Find all files in a folder and its subfolders, including files behind links.

    Each folder is read once, however many links lead to it; a real folder takes precedence over links. Hidden and
    system files are omitted, but `folder` itself may be hidden.

    Raises:
        OSError: if the folder cannot be read.
    """
    tree = Tree(folder, [])
    seen = {_identity(folder)}
    inside, links = _scan(tree, "")
    while inside or links:
        # Real folders are read first, so a link into the tree is a repetition, whatever its name.
        name = (inside or links).pop()
        try:
            place = _identity(folder / name)
            if place in seen:
                tree.repeated.append(name)
                continue
            seen.add(place)
            more, more_links = _scan(tree, f"{name}/")
        except OSError as error:
            tree.unread[name] = error.strerror or type(error).__name__
            continue
        inside += more
        links = sorted([*links, *more_links], reverse=True)
    for names in (tree.names, tree.left_out, tree.repeated):
        names.sort()
    return tree


def tree_of(archive: Path, names: Iterable[str]) -> Tree:
    """The members of an archive, as if they were files in a folder; `names` contain ``/``."""
    tree = Tree(archive, [])
    for name in names:
        (tree.left_out if any(map(is_hidden, name.split("/"))) else tree.names).append(name)
    return tree


def is_hidden(name: str) -> bool:
    """True if a file or folder of this name is hidden or belongs to the system."""
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def ending(name: str) -> str:
    """The extension of a name in lower case, with the dot; empty if there is none."""
    return os.path.splitext(name)[1].lower()


def by_ending(names: Iterable[str]) -> str:
    """Format names as ``12: 9 .txt (a.txt, b.txt, c.txt ...), 3 without ending (x, y, z)``; empty without names."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(ending(name), []).append(name)
    if not groups:
        return ""
    order = Counter({end: len(group) for end, group in groups.items()}).most_common()
    parts = [f"{count} {end or 'without ending'} ({examples(groups[end])})" for end, count in order[:NAMED]]
    rest = sum(count for _, count in order[NAMED:])
    if rest:
        parts.append(f"{rest} with {len(order) - NAMED} more endings")
    total = f"{sum(map(len, groups.values())):,}: " if len(groups) > 1 else ""
    return total + ", ".join(parts)


def named(names: Sequence[str] | Mapping[str, str], most: int = NAMED) -> str:
    """Format names as ``5: a.png (reason), b.png (reason) and 3 more``: the count, and examples with known reasons."""
    return f"{len(names):,}: {examples(names, most)}"


def examples(names: Sequence[str] | Mapping[str, str], most: int = NAMED) -> str:
    """Format names as ``a.png (reason), b.png (reason) and 3 more``, which `named` puts after the count."""
    shown = list(names)[:most]
    words = [f"{name} ({names[name]})" if isinstance(names, Mapping) and names[name] else name for name in shown]
    return ", ".join(words) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def _scan(tree: Tree, inner: str) -> tuple[list[str], list[str]]:
    """Add the files of one folder; returns its real and its linked subfolders, both in descending order of name."""
    inside: list[str] = []
    links: list[str] = []
    with os.scandir(tree.folder / inner) as entries:
        for entry in entries:
            name = f"{inner}{entry.name}"
            is_folder = entry.is_dir()
            if is_hidden(entry.name):
                tree.left_out.append(f"{name}/" if is_folder else name)
            elif is_folder:
                (links if entry.is_symlink() else inside).append(name)
            elif entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path)):
                tree.names.append(name)
            else:  # opening a pipe would wait forever
                tree.left_out.append(name)
    return sorted(inside, reverse=True), sorted(links, reverse=True)


def _identity(folder: Path) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino
