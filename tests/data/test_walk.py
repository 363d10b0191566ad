"""One walk for every reader: links, cycles, hidden and system names."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pggan_framework.data.datasets.images import DefaultImageFolderDataset
from pggan_framework.data.sources.base import LabelChoice
from pggan_framework.data.sources.folder import FolderSource
from pggan_framework.data.walk import by_ending, examples, is_hidden, named, walk
from pggan_framework.planning.survey import ImageSurvey, survey

HIDDEN = [".hidden.png", "._x.png", ".DS_Store", "Thumbs.db", "thumbs.DB", "desktop.ini", "ehthumbs.db"]
HIDDEN_FOLDERS = [".ipynb_checkpoints", "__MACOSX", "@eaDir", "$RECYCLE.BIN", ".git", "@Recycle", "#recycle"]


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_names_are_relative_and_in_order(tmp_path: Path) -> None:
    touch(tmp_path, "b/1.png", "a.png", "b-c/2.png", "b.png", "B/3.png")
    # By code points: "-" and "." come before "/", capitals before small letters.
    assert walk(tmp_path).names == ["B/3.png", "a.png", "b-c/2.png", "b.png", "b/1.png"]


@pytest.mark.parametrize("name", HIDDEN)
def test_hidden_and_system_files_are_left_out(tmp_path: Path, name: str) -> None:
    touch(tmp_path, name, f"deep/{name}", "a.png")
    tree = walk(tmp_path)
    assert tree.names == ["a.png"] and tree.left_out == sorted([name, f"deep/{name}"])


@pytest.mark.parametrize("name", HIDDEN_FOLDERS)
def test_hidden_and_system_folders_are_left_out(tmp_path: Path, name: str) -> None:
    touch(tmp_path, f"{name}/a.png", f"cats/{name}/deeper/b.png", "a.png")
    tree = walk(tmp_path)
    assert tree.names == ["a.png"] and tree.left_out == sorted([f"{name}/", f"cats/{name}/"])


def test_the_folder_itself_may_be_hidden(tmp_path: Path) -> None:
    touch(tmp_path, ".cache/__MACOSX/a.png")
    assert walk(tmp_path / ".cache" / "__MACOSX").names == ["a.png"]


def test_linked_folders_and_files_are_followed(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/deep/a.png", "elsewhere/b.png", "one.png")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cats").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "x.png").symlink_to(tmp_path / "one.png")
    (tmp_path / "data" / "gone.png").symlink_to(tmp_path / "nothing.png")
    assert walk(tmp_path / "data").names == ["cats/b.png", "cats/deep/a.png", "gone.png", "x.png"]


@pytest.mark.parametrize("target", [".", "..", "cats", "cats/deep"])
def test_links_back_are_named_and_read_nothing_twice(tmp_path: Path, target: str) -> None:
    touch(tmp_path, "data/cats/deep/a.png", "data/b.png")
    (tmp_path / "data" / "0").symlink_to((tmp_path / "data" / target).resolve())
    tree = walk(tmp_path / "data")
    assert tree.names == ["b.png", "cats/deep/a.png"]
    # A link to the folder above is a separate folder, in which the one that was read already is found.
    assert tree.repeated == (["0/data"] if target == ".." else ["0"])


def test_two_links_to_one_folder_are_read_once(tmp_path: Path) -> None:
    touch(tmp_path, "far/a.png")
    (tmp_path / "data").mkdir()
    for name in ("x", "y"):
        (tmp_path / "data" / name).symlink_to(tmp_path / "far")
    tree = walk(tmp_path / "data")
    assert tree.names == ["x/a.png"] and tree.repeated == ["y"]


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    os.mkfifo(tmp_path / "b.png")
    tree = walk(tmp_path)
    assert tree.names == ["a.png"] and tree.left_out == ["b.png"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "closed/b.png")
    (tmp_path / "closed").chmod(0)
    try:
        tree = walk(tmp_path)
    finally:
        (tmp_path / "closed").chmod(0o700)
    assert tree.names == ["a.png"] and tree.unread == {"closed": "Permission denied"}


@settings(max_examples=25, deadline=None)
@given(links=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=8))
def test_any_graph_of_links_ends_and_gives_each_file_once(
    tmp_path_factory: pytest.TempPathFactory, links: list[tuple[int, int]]
) -> None:
    root = tmp_path_factory.mktemp("graph")
    folders = [root / "0", root / "0" / "1", root / "0" / "1" / "2", root / "3", root / "3" / "4", root / "5"]
    for number, folder in enumerate(folders):
        touch(folder, f"{number}.png")
    for place, (where, to) in enumerate(links):
        (folders[where] / f"link{place}").symlink_to(folders[to])
    tree = walk(folders[0])
    # What can be reached from folder 0 over folders and links, worked out as sets.
    edges = {(0, 1), (1, 2), (3, 4), *links}
    reached = {0}
    while more := {to for where, to in edges if where in reached} - reached:
        reached |= more
    assert sorted(name.rsplit("/", 1)[-1] for name in tree.names) == [f"{number}.png" for number in sorted(reached)]


def test_words() -> None:
    assert by_ending([]) == ""
    assert by_ending(["a.txt", "x", "b.TXT"]) == "3: 2 .txt (a.txt, b.TXT), 1 without ending (x)"
    assert by_ending([f"{n}.{n}" for n in range(5)]).endswith("2 with 2 more endings")
    assert named({"a": "why", "b": ""}) == "2: a (why), b"
    assert examples(list("abcde")) == "a, b, c and 2 more"
    assert is_hidden("Icon\r") and not is_hidden("icon.png") and not is_hidden("a.thumbs.db.png")


def test_every_reader_of_images_takes_the_same_files(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    outside = tmp_path / "outside"
    good = ["cats/a.png", "dogs/b.png", "linked/c.png"]
    left = [".hidden.png", ".ipynb_checkpoints/a-checkpoint.png", "__MACOSX/cats/._a.png", "@eaDir/b.png"]
    for name in [good[0], good[1], *left]:
        touch(folder, name)
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)).save(folder / name)
    touch(outside, "c.png")
    Image.new("RGB", (8, 8)).save(outside / "c.png")
    (folder / "linked").symlink_to(outside)
    (folder / "notes.txt").touch()
    dataset = DefaultImageFolderDataset(folder, labels=["folder"])
    source = FolderSource(folder, LabelChoice(["folder"]))
    assert [source.name(index) for index in range(len(source))] == good
    assert dataset.label_space is not None and dataset.labels is not None and len(dataset) == 3
    kinds = ["folder cats", "folder dogs", "folder linked"]
    assert [dataset.label_space.describe(row) for row in dataset.labels] == kinds
    found = survey(folder)
    assert isinstance(found, ImageSurvey) and found.folders == {"cats": 1, "dogs": 1, "linked": 1}
    for lines in (dataset.summary(), source.described()):
        assert lines["other files"] == "1 .txt (notes.txt); not read as images"
        assert lines["hidden or system files"].startswith("4: .hidden.png, .ipynb_checkpoints/, @eaDir/")
