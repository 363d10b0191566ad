"""Folders, zips and tars of images."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pggan_framework.data.images.files import Header, upright
from pggan_framework.data.prepare.parallel import in_order
from pggan_framework.data.sources.archive import TarSource, ZipSource
from pggan_framework.data.sources.base import LabelChoice, PictureSource
from pggan_framework.data.sources.folder import FolderSource
from pggan_framework.data.sources.opening import open_source
from pggan_framework.errors import UserError

FILES = {"b/2.png": 20, "b/10.png": 30, "a/x.PNG": 10}


def png(level: int, height: int = 4, width: int = 6) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (width, height), level).save(buffer, format="PNG")
    return buffer.getvalue()


def contents() -> dict[str, bytes]:
    return {name: png(level) for name, level in FILES.items()} | {"b/notes.txt": b"no image"}


def make_folder(path: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def make_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.mkdir("b") if hasattr(archive, "mkdir") else None
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def make_tar(path: Path, files: dict[str, bytes], packing: str = "") -> Path:
    with tarfile.open(path, f"w:{packing}") as archive:
        link = tarfile.TarInfo("b/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


KINDS: dict[str, tuple[Callable[[Path, dict[str, bytes]], Path], type[PictureSource]]] = {
    "folder": (make_folder, FolderSource),
    "pictures.zip": (make_zip, ZipSource),
    "without an ending": (make_zip, ZipSource),
    "pictures.tar": (make_tar, TarSource),
    "pictures.tgz": (lambda path, files: make_tar(path, files, "gz"), TarSource),
    "pictures.tar.bz2": (lambda path, files: make_tar(path, files, "bz2"), TarSource),
    "pictures.tar.xz": (lambda path, files: make_tar(path, files, "xz"), TarSource),
}


@pytest.mark.parametrize("name", KINDS)
def test_all_kinds_give_the_same_pictures(tmp_path: Path, name: str) -> None:
    make, kind = KINDS[name]
    source = open_source(make(tmp_path / name, contents()), LabelChoice(["folder"]))
    assert type(source) is kind
    assert [source.name(index) for index in range(len(source))] == ["a/x.PNG", "b/10.png", "b/2.png"]
    assert source.labels == {"folder": ["a", "b", "b"]}
    assert source.labels_from == "the folders they are in"
    assert source.described() == {"other files": "1 .txt (b/notes.txt); not read as images"}
    read = pickle.loads(pickle.dumps(source))

    def look(index: int) -> tuple[Header | str, list[int]]:
        with read.read(index) as image:
            return read.headers(range(index, index + 1), 1)[0], np.unique(np.asarray(image)).tolist()

    expected = [(Header((4, 6)), [level]) for level in (10, 30, 20)]
    assert list(map(look, range(3))) == expected
    assert list(in_order(look, [2, 0, 1, 1], 2)) == [
        expected[index] for index in (2, 0, 1, 1)
    ]  # handles are not shared


@pytest.mark.parametrize("name", KINDS)
def test_the_identity_changes_with_the_pictures(tmp_path: Path, name: str) -> None:
    make, kind = KINDS[name]
    files = contents()
    first = kind(make(tmp_path / "1", files), LabelChoice())  # type: ignore[call-arg]
    again = kind(make(tmp_path / "2", files), LabelChoice())  # type: ignore[call-arg]
    renamed = kind(make(tmp_path / "3", {f"{key[0]}/x{key[2:]}": files[key] for key in files}), LabelChoice())  # type: ignore[call-arg]
    longer = kind(make(tmp_path / "4", {**files, "b/2.png": png(20, 50, 60)}), LabelChoice())  # type: ignore[call-arg]
    assert first.identity() == again.identity()
    assert len({first.identity(), renamed.identity(), longer.identity()}) == 3


@pytest.mark.parametrize("name", ["pictures.zip", "pictures.tar", "pictures.tgz"])
@pytest.mark.parametrize("path", ["../out.png", "/etc/out.png", "a/../../out.png", "..\\out.png", "C:\\out.png"])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, name: str, path: str) -> None:
    make, _ = KINDS[name]
    archive = make(tmp_path / name, {**contents(), path: png(1)})
    with pytest.raises(UserError, match=r"holds '.*out.png', a path that leads out of it; it is refused"):
        open_source(archive)
    assert os.listdir(tmp_path) == [name]


def test_what_a_file_manager_hides_and_dots_before_names(tmp_path: Path) -> None:
    files = {"./a/1.png": png(1), "__MACOSX/a/._1.png": b"x", "a/.hidden.png": b"x", "a/2.png": png(2)}
    for name in ("a.zip", "a.tar"):
        source = open_source(KINDS["pictures." + name[2:]][0](tmp_path / name, files))
        assert [source.name(index) for index in range(len(source))] == ["a/1.png", "a/2.png"]
        assert source.read(0).getpixel((0, 0)) == 1


def test_broken_members_are_their_own_fault(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"a.png": png(1), "b.png": b"no image", "c.png": png(2)})
    data = bytearray(path.read_bytes())
    at = data.index(png(1)) + 20
    data[at] ^= 255  # its checksum is wrong now
    path.write_bytes(bytes(data))
    source = open_source(path)
    for index in (0, 1):
        with pytest.raises((OSError, ValueError)):
            source.read(index)
    assert source.read(2).size == (6, 4)


def test_orientation_is_heeded_in_sizes(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("a.jpg", "b.tif", "c.webp"):
        Image.new("RGB", (8, 16)).save(tmp_path / name, exif=exif)
    Image.new("RGB", (8, 16)).save(tmp_path / "d.jpg")
    source = open_source(tmp_path)
    headers = [header for header in source.headers(range(4), 1) if isinstance(header, Header)]
    for index in range(4):
        with source.read(index) as image:
            image.load()
            assert headers[index].size == upright(image).size[::-1]
    assert headers[0].size == (8, 16) and headers[3].size == (16, 8)


def test_labels_from_a_table(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("file,hair\na/x.PNG,red\nb/2.png,black\nb/10.png,red\n")
    path = make_zip(tmp_path / "a.zip", contents())
    source = open_source(path, LabelChoice(csv=table))
    assert source.labels == {"hair": ["red", "red", "black"]}
    with pytest.raises(UserError, match=r"--labels 'hear' is not known \(did you mean 'hair'\?\)"):
        open_source(path, LabelChoice(["hear"], csv=table))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.zip", lambda path: make_zip(path, {"a.txt": b"x"}), "no readable image in .*a.zip; endings: "),
        ("a.tar", lambda path: make_tar(path, {"a.txt": b"x"}), "no readable image in .*a.tar; endings: "),
        (
            "a",
            lambda path: make_folder(path, {"a.txt": b"x"}),
            r"no readable image in .*a: other files: 1 .txt \(a.txt\)",
        ),
        (
            "a.zip",
            lambda path: path.write_bytes(b"PK\x03\x04" + bytes(50)),
            "is not a source of images; allowed: .*zip",
        ),
        ("a.txt", lambda path: path.write_text("text"), "a.txt is not a source of images; allowed: .*a folder of im"),
        ("a", lambda path: None, "no file or folder .*a"),
    ],
)
def test_what_is_no_source(tmp_path: Path, name: str, content: Callable[[Path], object], message: str) -> None:
    content(tmp_path / name)
    with pytest.raises(UserError, match=message):
        open_source(tmp_path / name)


def test_an_archive_cut_in_half(tmp_path: Path) -> None:
    files = {f"{number}.png": png(number, 64, 64) for number in range(60)}
    for name in ("a.zip", "a.tar", "a.tgz"):
        path = KINDS["pictures." + name[2:]][0](tmp_path / name, files)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(UserError, match=f"{name} is (damaged|not a source of images)"):
            open_source(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for _ in range(2):
            archive.writestr("a.png", png(1))
    with pytest.raises(UserError, match=r"a\.zip holds a\.png twice; allowed: once"):
        open_source(tmp_path / "a.zip")
