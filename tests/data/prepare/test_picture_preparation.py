"""Images into a prepared file: what is in it, what is left out, and stopping on the way."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from slow_preparation import program

from pggan_framework.data.base import box_mean
from pggan_framework.data.datasets.h5 import OldH5Dataset
from pggan_framework.data.datasets.images import DefaultImageFolderDataset
from pggan_framework.data.images.fitting import Fitting
from pggan_framework.data.images.plan import Options, make_plan
from pggan_framework.data.prepare import images as picture_preparation
from pggan_framework.data.prepare.images import Result, prepare_pictures
from pggan_framework.data.sources.base import LabelChoice
from pggan_framework.data.sources.opening import open_source
from pggan_framework.errors import UserError

RANDOM = np.random.default_rng(0)
SLOW = program("images.prepare_pictures(plan, out, 2, lambda path, result: None)")


def noise(*shape: int) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = RANDOM.integers(0, 256, shape, dtype=np.uint8)
    return pixels


def make(folder: Path, count: int, height: int = 8, width: int = 8) -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        Image.fromarray(noise(height, width, 3)).save(folder / f"{number:03}.png")
    return folder


def prepared(
    source: Path, out: Path, labels: LabelChoice | None = None, jobs: int = 1, **options: Any
) -> tuple[OldH5Dataset, Result]:
    plan = make_plan(open_source(source, labels), str(source), Options(**options), jobs)
    result = prepare_pictures(plan, out, jobs, lambda path, result: None)
    assert not picture_preparation.partial_folder(out).exists()
    return OldH5Dataset(out), result


def odd_pictures(folder: Path) -> Path:
    """Images of all modes and sizes."""
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise(20, 30, 3)).save(folder / "a.jpg", exif=exif)
    Image.fromarray(noise(17, 9, 4)).save(folder / "b.png")
    Image.fromarray(RANDOM.integers(0, 65536, (8, 8), dtype=np.uint16)).save(folder / "c.png")
    Image.fromarray(noise(40, 12, 3)).convert("P").save(folder / "d.gif")
    Image.fromarray(noise(16, 16, 4)).convert("CMYK").save(folder / "e.tif")
    Image.fromarray(noise(16, 16, 3)).save(folder / "f.png")
    return folder


@pytest.mark.parametrize(
    "options",
    [
        {"resize": "stretch", "size": (16, 16)},
        {"resize": "crop", "size": (8, 16), "colour": "L", "seed_shape": (2, 4)},
        {"resize": "pad", "size": (16, 16), "colour": "RGBA", "mirror": True, "depth_offset": 1},
        {"resize": "pad", "size": (16, 16), "background": "#102030", "mirror": True, "max_images": 4},
    ],
)
def test_it_is_the_folder_dataset_at_every_depth(tmp_path: Path, options: dict[str, Any]) -> None:
    source = odd_pictures(tmp_path / "s")
    data, _ = prepared(source, tmp_path / "out.h5", **options)
    given = dict(options)
    names = {"colour": "imread_mode", "depth_offset": "model_dataset_depth_offset"}
    folder = DefaultImageFolderDataset(source, **{names.get(name, name): value for name, value in given.items()})
    assert len(data) == len(folder) and data.growth == folder.growth
    every = range(len(data))
    for depth in range(data.growth.max_depth + 1):
        np.testing.assert_array_equal(data.images(every, depth), folder.images(every, depth))


def test_levels_are_means_worked_out_slowly_and_mirror_images_come_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_preparation, "BLOCK", 2 * 3 * 16 * 8)  # two images
    source = make(tmp_path / "s", 5, 16, 8)
    data, result = prepared(source, tmp_path / "out.h5", mirror=True, jobs=2, seed_shape=(2, 2))
    assert len(data) == 10 and result.names == [f"{number:03}.png" for number in range(5)] * 2
    with h5py.File(tmp_path / "out.h5") as file:
        assert [name.decode() for name in file["names"]] == result.names
        assert {name for name in file if name.startswith("data")} == {
            "data2x2",
            "data4x4",
            "data8x8",
            "data16x8",
        }
        assert all(file[name].chunks is None for name in file)
    for number in range(5):
        full = np.asarray(Image.open(source / f"{number:03}.png")).transpose(2, 0, 1)
        for index, picture in ((number, full), (number + 5, full[:, :, ::-1])):
            for depth, size in enumerate([(2, 2), (4, 4), (8, 8), (16, 8)]):
                boxes = picture.reshape(3, size[0], 16 // size[0], size[1], 8 // size[1]).astype(np.float64)
                expected = np.rint(boxes.mean((2, 4))).astype(np.uint8)
                np.testing.assert_array_equal(data.images([index], depth)[0], expected)


def test_a_part_cut_out_before_resizing(tmp_path: Path) -> None:
    pixels = noise(12, 20, 3)
    (tmp_path / "s").mkdir()
    Image.fromarray(pixels).save(tmp_path / "s" / "a.png")
    box, _ = prepared(tmp_path / "s", tmp_path / "box.h5", crop=(3, 2, 16, 8))
    np.testing.assert_array_equal(box.image(0), pixels[2:10, 3:19].transpose(2, 0, 1))
    middle, _ = prepared(tmp_path / "s", tmp_path / "middle.h5", crop=8)
    np.testing.assert_array_equal(middle.image(0), pixels[2:10, 6:14].transpose(2, 0, 1))
    small, _ = prepared(
        tmp_path / "s", tmp_path / "small.h5", crop=8, size=(4, 4), resize="stretch", filter="box", depth_offset=1
    )
    halves = pixels[2:10, 6:14].transpose(2, 0, 1)
    assert np.abs(small.image(0).astype(int) - box_mean(halves, (4, 4))).max() <= 1  # Pillow rounds halves up
    nearest, _ = prepared(tmp_path / "s", tmp_path / "n.h5", crop=8, size=(4, 4), resize="stretch", filter="nearest")
    assert set(nearest.image(0).ravel().tolist()) <= set(halves.ravel().tolist())


def test_sizes_that_are_not_given(tmp_path: Path) -> None:
    source = odd_pictures(tmp_path / "s")
    assert prepared(source, tmp_path / "a.h5", resize="crop")[0].shape == (3, 8, 8)  # the smallest is 8x8
    assert prepared(make(tmp_path / "t", 2, 8, 16), tmp_path / "b.h5")[0].shape == (3, 8, 16)


def test_broken_pictures_leave_no_holes(tmp_path: Path) -> None:
    good, bad = make(tmp_path / "good", 6), tmp_path / "bad"
    shutil.copytree(good, bad)
    whole = (good / "003.png").read_bytes()
    at = whole.index(b"IDAT") + 30
    (bad / "002a.png").write_bytes(b"no image")
    (bad / "003a.png").write_bytes(whole[:at] + bytes(9) + whole[at + 9 :])  # its header and its end are right
    Image.new("F", (8, 8)).save(bad / "004a.tif")
    table = tmp_path / "labels.csv"
    rows = [f"{path.name},{'x' if path.stem == '003a' else path.stem < '003'}" for path in sorted(bad.iterdir())]
    table.write_text("file,low\n" + "\n".join(rows))
    for mirror in (False, True):
        data, result = prepared(bad, tmp_path / f"b{mirror}.h5", LabelChoice(csv=table), 2, mirror=mirror)
        other, clean = prepared(good, tmp_path / f"g{mirror}.h5", LabelChoice(csv=table), 2, mirror=mirror)
        assert len(data) == (12 if mirror else 6) and result.names == clean.names
        for depth in range(2):
            every = range(len(data))
            np.testing.assert_array_equal(data.images(every, depth), other.images(every, depth))
        assert data.labels is not None and data.labels[:, 0].tolist() == [1, 1, 1, 0, 0, 0] * (1 + mirror)
        assert [attribute.values for attribute in data.label_space.attributes] == [("False", "True")]  # type: ignore[union-attr]
        assert list(result.unreadable) == ["002a.png", "003a.png", "004a.tif"]
        told = data.summary()["skipped"]
        assert told.startswith("unreadable, 3: 002a.png (no image, or damaged at its beginning), 003a.png (")
        assert "32-bit float" in told


def test_killed_and_started_again_it_is_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_preparation, "BLOCK", 1)
    source, out = make(tmp_path / "s", 30), tmp_path / "out.h5"
    source.joinpath("007.png").write_bytes((source / "007.png").read_bytes()[:90])
    journal = picture_preparation.partial_folder(out) / "blocks.jsonl"
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(source), str(out)])
    deadline = time.monotonic() + 60
    while not journal.is_file() or journal.read_bytes().count(b"\n") < 6:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not out.exists()
    done = journal.read_bytes().count(b"\n") - 1
    decoded: list[int] = []
    decode = picture_preparation.write_block
    monkeypatch.setattr(
        picture_preparation,
        "write_block",
        lambda plan, levels, places: decoded.extend(places) or decode(plan, levels, places),
    )
    plan = make_plan(open_source(source), "s", Options(mirror=True), 1)
    prepare_pictures(plan, out, 1, lambda path, result: None)
    assert decoded == list(range(done, 29)) and 5 <= done < 29  # the cut one was found by its header
    prepare_pictures(plan, tmp_path / "in_one_go.h5", 1, lambda path, result: None)
    assert out.read_bytes() == (tmp_path / "in_one_go.h5").read_bytes()
    assert len(OldH5Dataset(out)) == 58


def test_another_option_starts_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = make(tmp_path / "s", 4), tmp_path / "out.h5"

    def stop(path: Path, result: Result) -> None:
        raise KeyboardInterrupt

    plan = make_plan(open_source(source), "s", Options(), 1)
    with pytest.raises(KeyboardInterrupt):
        prepare_pictures(plan, out, 1, stop)
    assert picture_preparation.partial_folder(out).is_dir() and not out.exists()
    data, _ = prepared(source, out, colour="L")
    assert data.shape == (1, 8, 8)


def test_two_files_of_one_source_are_told_apart(tmp_path: Path) -> None:
    source = make(tmp_path / "s", 4)
    digests = [
        make_plan(open_source(source), "s", options, 1).fingerprint
        for options in (Options(), Options(), Options(mirror=True), Options(max_images=3), Options(colour="L"))
    ]
    assert digests[0] == digests[1] and len(set(digests)) == 4
    Image.fromarray(noise(8, 8, 3)).save(source / "002.png")
    assert make_plan(open_source(source), "s", Options(), 1).fingerprint not in digests


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"b.png is 17x9, a.jpg is 30x20; with --resize none all images have one size; other policies: stretch"),
        ({"size": (30, 20)}, r"b.png is 17x9, --size is 30x20"),
        ({"resize": "crop", "size": (12, 20)}, "an image of 12x20 cannot be halved"),
        ({"resize": "crop", "size": (0, 8)}, "--size is 0x8; allowed: sides of 1 pixel or more"),
        ({"crop": 10}, r"--crop 10 is not part of b.png: it is 17x9, and"),
        ({"crop": (0, 0, 9, 9)}, r"--crop 0 0 9 9 is not part of c.png: it is 8x8"),
        ({"max_images": 0}, "--max_images is 0"),
        ({"background": "nocolour"}, "unknown background colour 'nocolour'"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_written(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    source = odd_pictures(tmp_path / "s")
    with pytest.raises(UserError, match=message):
        prepared(source, tmp_path / "out.h5", **options)
    assert os.listdir(tmp_path) == ["s"]


def test_nothing_that_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "a.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"no readable image in .*s: a.png \(no image, or damaged"):
        prepared(tmp_path / "s", tmp_path / "out.h5")
    whole = make(tmp_path / "s", 1).joinpath("000.png").read_bytes()
    (tmp_path / "s" / "000.png").write_bytes(whole[:60] + bytes(30) + whole[90:])
    with pytest.raises(UserError, match=r"no image in .*s can be decoded: 1: 000.png \("):
        prepared(tmp_path / "s", tmp_path / "out.h5")
    assert os.listdir(tmp_path) == ["s"]


def test_a_lack_of_memory_is_no_fault_of_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make(tmp_path / "s", 2)
    monkeypatch.setattr(Fitting, "picture", lambda self, image: (_ for _ in ()).throw(MemoryError))
    with pytest.raises(UserError, match="there is not enough memory to decode 000.png"):
        prepared(source, tmp_path / "out.h5")
    assert not (tmp_path / "out.h5").exists()


def test_a_disk_without_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make(tmp_path / "s", 2)
    monkeypatch.setattr(picture_preparation.shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
    with pytest.raises(UserError, match="has too little space: 0.0 MB are needed"):
        prepared(source, tmp_path / "out.h5")
    assert os.listdir(tmp_path) == ["s"]


def test_processes_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_preparation, "BLOCK", 600)
    source = make(tmp_path / "s", 11)
    for jobs in (1, 2, 3):
        prepared(source, tmp_path / f"{jobs}.h5", jobs=jobs)
    contents = {(tmp_path / f"{jobs}.h5").read_bytes() for jobs in (1, 2, 3)}
    assert len(contents) == 1
