"""What was computed of files is remembered until they change, in whatever way."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pggan_framework.data import manifest as module
from pggan_framework.data.datasets.images import DefaultImageFolderDataset as Folder
from pggan_framework.data.images.plan import Options, make_plan
from pggan_framework.data.manifest import Manifest, hash_file
from pggan_framework.data.sources.opening import open_source


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PGGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "PATIENCE", 0)
    monkeypatch.setattr(module, "SETTLED", 0)
    data = tmp_path / "data"
    data.mkdir()
    for name in "abc":
        (data / name).write_bytes(name.encode() * 100)
    return data


def remembered(folder: Path, names: Sequence[str] = ("a", "b", "c")) -> tuple[list[str], list[str]]:
    """The values, and the files that they were computed for."""
    asked: list[str] = []

    def compute(missing: Sequence[str]) -> Iterable[str]:
        asked.extend(missing)
        return [hash_file(folder / name) for name in missing]

    manifest = Manifest(folder)
    values = manifest.remember("hash", names, compute)
    manifest.save()
    return values, asked


def test_errors_are_not_remembered(folder: Path) -> None:
    def looked(*faults: str) -> list[str]:
        asked: list[str] = []

        def compute(missing: Sequence[str]) -> Iterable[object]:
            asked.extend(missing)
            return [OSError(name) if name in faults else 1 for name in missing]

        manifest = Manifest(folder)
        values = manifest.remember("kind", ["a", "b"], compute)
        assert [str(value) for value in values] == [name if name in faults else "1" for name in "ab"]
        manifest.save()
        return asked

    assert looked("b") == ["a", "b"] and looked("b") == ["b"] and looked() == ["b"] and looked() == []


def edit(path: Path) -> None:
    """Change a byte in the middle; length and time of modification are as before."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_only_what_changed_is_computed_again(folder: Path) -> None:
    first, asked = remembered(folder)
    assert asked == ["a", "b", "c"] and len(set(first)) == 3
    assert remembered(folder) == (first, [])
    assert remembered(folder, ["c", "a"]) == ([first[2], first[0]], [])
    edit(folder / "b")
    again, asked = remembered(folder)
    assert asked == ["b"] and again[1] != first[1] and again[0] == first[0]


def test_what_changed_a_moment_ago_is_not_remembered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLED", 3600)
    remembered(folder)
    assert remembered(folder)[1] == ["a", "b", "c"]


@pytest.mark.parametrize("damage", ["{", "[]", '{"format": 0, "files": {}}', '{"files": 3}'])
def test_a_damaged_manifest_counts_as_none(folder: Path, tmp_path: Path, damage: str) -> None:
    remembered(folder)
    (path,) = (tmp_path / "cache").iterdir()
    assert json.loads(path.read_text())["format"] == module.FORMAT
    path.write_text(damage)
    assert remembered(folder)[1] == ["a", "b", "c"]


def test_without_a_cache_nothing_is_written(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGGAN_CACHE", "")
    remembered(folder)
    assert not (tmp_path / "cache").exists()
    monkeypatch.setenv("PGGAN_CACHE", str(folder / "a" / "under a file"))
    assert len(remembered(folder)[0]) == 3


@pytest.mark.parametrize("ending", ["ppm", "tif", "bmp", "png", "jpg", "tga"])
def test_an_edit_in_the_middle_changes_the_fingerprint(folder: Path, tmp_path: Path, ending: str) -> None:
    images = tmp_path / "images"
    images.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for number in range(2):
        Image.fromarray(pixels).save(images / f"{number}.{ending}")

    def prints() -> tuple[str, str]:
        return Folder(images).fingerprint(), make_plan(open_source(images), "images", Options(), 1).fingerprint

    before = prints()
    assert prints() == before
    edit(images / f"1.{ending}")
    after = prints()
    assert after[0] != before[0] and after[1] != before[1]


def test_headers_are_remembered(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for number in range(3):
        Image.new("RGB", (8, 16), (number, 0, 0)).save(images / f"{number}.png")
    (images / "bad.png").write_bytes(b"")
    first = Folder(images)
    assert len(first) == 3 and first.shape == (3, 16, 8)

    def fail(*given: object) -> None:
        raise AssertionError("a header was read again")

    monkeypatch.setattr("pggan_framework.data.sources.base.read_header", fail)
    again = Folder(images)
    assert again.plan.headers == first.plan.headers and again.plan.unreadable == first.plan.unreadable
