"""Images that are unreadable, constant, duplicate or too large: never silently wrong, never the end of a run."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pggan_framework.data.datasets.images import DefaultImageFolderDataset as Folder
from pggan_framework.data.datasets.label_maps import LabelMapDataset
from pggan_framework.data.images.plan import Options, make_plan
from pggan_framework.data.loader import BatchLoader
from pggan_framework.data.prepare.images import prepare_pictures
from pggan_framework.data.sources.opening import open_source
from pggan_framework.errors import UserError

RANDOM = np.random.default_rng(0)


def noise(side: int = 16, ending: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.fromarray(RANDOM.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(content, ending)
    return content.getvalue()


def damaged() -> bytes:
    """A PNG whose header and end are right; the damage shows when it is decoded."""
    whole = noise()
    at = whole.index(b"IDAT") + 40
    return whole[:at] + bytes(60) + whole[at + 60 :]


def folder_of(path: Path, count: int, bad: int) -> Path:
    """Images in two folders; one of them is damaged."""
    for number in range(count):
        kind = path / f"kind{number % 2}"
        kind.mkdir(exist_ok=True, parents=True)
        (kind / f"{number}.png").write_bytes(damaged() if number == bad else noise())
    return path


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("mirror", [False, True])
def test_a_damaged_image_is_replaced_by_the_next_with_its_label(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], workers: int, mirror: bool
) -> None:
    folder = folder_of(tmp_path / "d", 4, bad=2)  # in order: kind0/0, kind0/2 (damaged), kind1/1, kind1/3
    data = Folder(folder, labels=["folder"], mirror=mirror)
    count = 8 if mirror else 4
    shown, labels = [], []
    with BatchLoader(data, 0, workers) as loader:
        for step in range(2):  # every image is shown
            shown.append(loader.batch(step * count, 1, count))
            labels.append(loader.labels(step * count, 1, count))
    good = Folder(folder, labels=["folder"], mirror=mirror)
    places = [place for place in range(count) if place % 4 != 1]
    for batch, own in zip(shown, labels, strict=True):
        assert own is not None
        for pixels, label in zip(batch.numpy(), own.numpy(), strict=True):
            (index,) = (place for place in places if np.array_equal(good.images([place], 1)[0], pixels))
            assert label.tolist() == ([1, 0] if index % 4 == 0 else [0, 1])
    error = capfd.readouterr().err
    assert error.count("cannot decode kind0/2.png (") == 1 and "next image is used instead" in error
    assert "1: kind0/2.png (" in data.summary()["damaged"]


def test_with_label_maps_the_map_is_replaced_too(tmp_path: Path) -> None:
    images, maps = tmp_path / "i", tmp_path / "m"
    images.mkdir()
    maps.mkdir()
    for number in range(3):
        (images / f"{number}.png").write_bytes(damaged() if number == 1 else noise())
        Image.fromarray(np.full((16, 16), number % 2, np.uint8)).save(maps / f"{number}.png")
    data = LabelMapDataset(images, maps)
    np.testing.assert_array_equal(data.image(1), data.image(2))
    assert data.label_map(1).max() == 0 == data.label_map(2).max()


def test_bad_files_error_names_the_first(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(noise())
    (tmp_path / "b.png").write_bytes(damaged())
    data = Folder(tmp_path, bad_files="error")
    with pytest.raises(UserError, match=r"b\.png in .* cannot be read: .*DefaultImageFolderDataset\.bad_files to skip"):
        data.image(1)
    plan = make_plan(open_source(tmp_path), str(tmp_path), Options(bad_files="error"), 1)
    with pytest.raises(UserError, match=r"b\.png in .* cannot be read: .*; repair or remove it, or set --bad_files"):
        prepare_pictures(plan, tmp_path / "out.h5", 1, lambda path, result: None)
    (tmp_path / "c.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"c\.png in .* cannot be read: an empty file; repair"):
        Folder(tmp_path, bad_files="error")


@pytest.mark.parametrize(("limit", "count"), [(256, 1), (400, 2), (10_000, 2)])
def test_the_limit_of_pixels_can_be_set(tmp_path: Path, limit: int, count: int) -> None:
    (tmp_path / "a.png").write_bytes(noise(16))
    (tmp_path / "b.png").write_bytes(noise(20))
    options: dict[str, Any] = {"max_pixels": limit, "resize": "crop", "size": 16}
    data = Folder(tmp_path, **options)
    assert len(data) == count
    skipped = data.summary().get("skipped", "")
    assert ("20x20 is more than 256 pixels; max_pixels allows more" in skipped) == (count == 1)
    with pytest.raises(UserError, match="max_pixels is 0; it must be at least 1"):
        Folder(tmp_path, max_pixels=0)


def test_more_pixels_than_pillow_allows_can_be_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    (tmp_path / "a.png").write_bytes(noise(16))
    assert Folder(tmp_path, max_pixels=256).image(0).shape == (3, 16, 16)


def test_images_that_teach_nothing_are_named(tmp_path: Path) -> None:
    same = noise()
    folder = tmp_path / "d"
    folder.mkdir()
    for name, content in {"a": noise(), "b": same, "c": same, "d": noise()}.items():
        (folder / f"{name}.png").write_bytes(content)
    Image.new("RGB", (16, 16), "red").save(folder / "e.png")
    lines = Folder(folder).summary()
    assert lines["of one colour"] == "1: e.png; of 5 looked at"
    assert lines["equal to others"] == "1: c.png (as b.png); of 5 looked at"
    plan = make_plan(open_source(folder), str(folder), Options(), 1)
    record = prepare_pictures(plan, tmp_path / "out.h5", 2, lambda path, result: None).record["summary"]
    assert record["of one colour"] == "1: e.png; of 5" and record["equal to others"] == "1: c.png (as b.png); of 5"
    (folder / "e.png").unlink()
    (folder / "c.png").unlink()
    assert not {"of one colour", "equal to others"} & Folder(folder).summary().keys()


def test_a_grey_level_above_the_guess_is_named(tmp_path: Path) -> None:
    for number, top in enumerate((4000, 4095)):
        Image.fromarray(np.linspace(0, top, 64).astype(np.uint16).reshape(8, 8)).save(tmp_path / f"{number}.tif")
    data = Folder(tmp_path, imread_mode="L")
    assert data.summary()["guessed"].startswith("12 bit, white is 4,095: 2 grey images")
    assert data.image(1).max() == 255 and data.image(0).max() == 249  # 4000 / 4095 * 255 = 249.08
    # One that is brighter than all that were looked at counts as damaged: it is replaced, and named.
    Image.fromarray(np.full((8, 8), 5000, np.uint16)).save(tmp_path / "1.tif")
    np.testing.assert_array_equal(data.image(1), data.image(0))
    assert "it has the level 5000; allowed: 0 to 4095" in data.summary()["damaged"]


def test_negative_levels_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(noise(8))
    Image.fromarray(np.arange(-32, 32, dtype=np.int32).reshape(8, 8)).save(tmp_path / "b.tif")
    data = Folder(tmp_path)
    np.testing.assert_array_equal(data.image(1), data.image(0))
    assert "it has the level -32" in data.summary()["damaged"]
